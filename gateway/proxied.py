"""What a reverse proxy in front says about the caller: believed from the proxy, removed from anybody else."""

import hashlib
import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.types import ASGIApp, Receive, Scope, Send

Network = IPv4Network | IPv6Network

CERTIFICATE_HEADER: Final = b"x-client-cert"
"""The certificate the caller showed to the proxy: PEM, percent-encoded (nginx: `$ssl_client_escaped_cert`)."""

VERIFY_HEADER: Final = b"x-client-verify"
"""What the proxy thinks of it: `SUCCESS`, `FAILED:reason` or `NONE` (nginx: `$ssl_client_verify`)."""

_FOR_HEADER: Final = b"x-forwarded-for"
_SCHEME_HEADER: Final = b"x-forwarded-proto"
_SAID_BY_PROXIES: Final = frozenset(
    {
        CERTIFICATE_HEADER,
        VERIFY_HEADER,
        _FOR_HEADER,
        _SCHEME_HEADER,
        b"forwarded",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-real-ip",
    }
)


@dataclass(frozen=True)
class ClientCertificate:
    """
    A certificate that a caller showed to the proxy.

    Attributes:
        sha256: Digest of its DER, in hex; how the register names certificates.
        verified: The proxy found it to come from an authority it was given.
    """

    sha256: str
    verified: bool


class BehindProxy:
    """
    Puts the caller's own address, scheme and certificate in the place of the proxy's.

    No application further in ever sees the headers themselves, so what a caller writes into them is never believed.

    Args:
        app: What answers.
        proxies: Networks of the proxies; empty where callers come directly.
    """

    def __init__(self, app: ASGIApp, *, proxies: tuple[Network, ...]) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            said = {name: value for name, value in scope["headers"] if name in _SAID_BY_PROXIES}
            if said:
                headers = [line for line in scope["headers"] if line[0] not in _SAID_BY_PROXIES]
                scope = {**scope, "headers": headers}
                if self._is_proxy(scope.get("client")):
                    scope |= _read(said, scope)
        await self._app(scope, receive, send)

    def _is_proxy(self, client: tuple[str, int] | None) -> bool:
        if client is None or not self._proxies:
            return False
        try:
            address = ip_address(client[0])
        except ValueError:
            return False
        return any(address in network for network in self._proxies)


def read_networks(text: str) -> tuple[Network, ...]:
    """
    Read networks in CIDR form, separated by commas.
    """
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def _read(said: dict[bytes, bytes], scope: Scope) -> Scope:
    read: Scope = {}
    # A proxy adds at the end; what stands before it may be the caller's invention.
    address = said.get(_FOR_HEADER, b"").decode("latin-1").rpartition(",")[2].strip()
    if _is_address(address):
        read["client"] = (address, 0)
    if (scheme := said.get(_SCHEME_HEADER, b"").decode("latin-1")) in {"http", "https"}:
        read["scheme"] = scheme
    if certificate := _certificate(said.get(CERTIFICATE_HEADER, b""), said.get(VERIFY_HEADER, b"")):
        read["state"] = {**scope.get("state", {}), "client_certificate": certificate}
    return read


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _certificate(escaped: bytes, verdict: bytes) -> ClientCertificate | None:
    if not re.match(rb"-----BEGIN(?: |%20)CERTIFICATE-----", escaped):
        return None
    try:
        certificate = x509.load_pem_x509_certificate(unquote_to_bytes(escaped))
    except ValueError:
        return None
    digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
    return ClientCertificate(sha256=digest, verified=verdict == b"SUCCESS")
