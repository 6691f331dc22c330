"""The one way out of the house."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from http.cookiejar import DefaultCookiePolicy
from ipaddress import IPv4Address, IPv6Address, ip_address
from socket import SOCK_STREAM, gaierror

import httpx

from services.delivery.domain.notifications import Answer
from services.delivery.settings import Network, Settings, read_networks

MAX_ANSWER_BYTES = 65_536
USER_AGENT = "document-axis-webhooks/1"

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
Address = IPv4Address | IPv6Address


def open_http(settings: Settings) -> httpx.AsyncClient:
    """
    Make the client all outward HTTP goes through: no proxy, or pinning would be in vain.
    """
    trust = ssl.create_default_context()
    if settings.ca_file is not None:
        trust.load_verify_locations(settings.ca_file)
    return httpx.AsyncClient(verify=trust, trust_env=False, follow_redirects=False)


async def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """
    Ask the system's resolver for the addresses of a host.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class _NotAllowed(Exception):
    """An address we do not call; the words are for the endpoint's owner."""


class Outside:
    """
    Posts to endpoints whose addresses are on the allow-list.

    A host is resolved once and the connection goes to the very address that was checked, with the host's name kept in
    `Host` and in TLS; so a name that changes its mind in between leads nowhere else. Nothing is followed, nothing is
    kept: no redirect, no cookie, no connection.

    Args:
        http: Carries the requests.
        settings: Networks, timeout.
        resolve: Turns a host into addresses.
    """

    def __init__(self, http: httpx.AsyncClient, settings: Settings, resolve: Resolve = resolve_by_system) -> None:
        self._http = http
        self._http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._allowed = read_networks(settings.allowed_networks)
        self._plain = read_networks(settings.plain_http_networks)
        self._timeout = settings.timeout_seconds
        self._resolve = resolve

    async def post(self, url: str, body: str, headers: dict[str, str], *, read_body: bool = False) -> Answer:
        """
        Post once. Whatever happens is an answer.

        Args:
            url: As the endpoint's owner gave it.
            body: JSON text of the event.
            headers: Of Standard Webhooks.
            read_body: Read the first 64 KiB of the answer; else only its head.
        """
        try:
            async with asyncio.timeout(self._timeout):
                return await self._post(url, body, headers, read_body=read_body)
        except _NotAllowed as error:
            return Answer(None, str(error), refused=True)
        except (TimeoutError, httpx.TimeoutException):
            return Answer(None, f"no answer within {self._timeout:g} s")
        except (gaierror, UnicodeError):
            return Answer(None, "the name of the host cannot be resolved")
        except httpx.ConnectError:
            return Answer(None, "no connection, or a certificate that is not trusted")
        except (httpx.HTTPError, OSError):
            return Answer(None, "the connection broke, or the answer was not HTTP")

    async def _post(self, url: str, body: str, headers: dict[str, str], *, read_body: bool) -> Answer:
        target = _read_url(url)
        addresses = await self._choose(target)
        for address in addresses[:-1]:
            try:
                return await self._post_to(address, target, body, headers, read_body=read_body)
            except httpx.ConnectError:
                continue
        return await self._post_to(addresses[-1], target, body, headers, read_body=read_body)

    async def _post_to(
        self, address: Address, target: httpx.URL, body: str, headers: dict[str, str], *, read_body: bool
    ) -> Answer:
        request = self._http.build_request(
            "POST",
            target.copy_with(host=str(address)),
            content=body.encode(),
            headers={
                **headers,
                "Host": target.netloc.decode("ascii"),
                "Content-Type": "application/cloudevents+json; charset=utf-8",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": USER_AGENT,
                # A kept connection would serve the next host at this address under this one's certificate.
                "Connection": "close",
            },
            extensions={"sni_hostname": target.raw_host.decode("ascii")},
            timeout=self._timeout,
        )
        response = await self._http.send(request, stream=True, follow_redirects=False)
        try:
            return Answer(
                response.status_code,
                retry_after=response.headers.get("Retry-After"),
                body=await _read_start(response) if read_body else b"",
            )
        finally:
            await response.aclose()

    async def _choose(self, target: httpx.URL) -> list[Address]:
        port = target.port or (443 if target.scheme == "https" else 80)
        host = target.raw_host.decode("ascii")
        addresses = list(dict.fromkeys(_read_address(text) for text in await self._resolve(host, port)))
        allowed = [address for address in addresses if _is_in(address, self._allowed)]
        if not allowed:
            named = ", ".join(str(address) for address in addresses)
            raise _NotAllowed(f"the endpoint stands at {named or 'no address'}, which this node may not call")
        if target.scheme == "http":
            allowed = [address for address in allowed if _is_in(address, self._plain)]
            if not allowed:
                raise _NotAllowed("the endpoint must use https")
        return allowed


def _read_url(url: str) -> httpx.URL:
    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as malformed:
        raise _NotAllowed("the endpoint's URL cannot be read") from malformed
    if target.scheme not in {"https", "http"} or not target.host:
        raise _NotAllowed("the endpoint's URL must begin with https://")
    if target.userinfo:
        raise _NotAllowed("the endpoint's URL must hold no user name")
    return target


def _read_address(text: str) -> Address:
    address = ip_address(text.partition("%")[0])
    # The same machine as its IPv4 address says, so that one list judges both spellings.
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


async def _read_start(response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= MAX_ANSWER_BYTES:
            break
    return body[:MAX_ANSWER_BYTES]
