"""The way out: real sockets on loopback, names resolved as the test says."""

import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from services.delivery.clients.outside import MAX_ANSWER_BYTES, Outside, open_http, resolve_by_system
from services.delivery.settings import Settings
from shared.testing.pki import MOMENT, a_p256_key
from shared.testing.webhooks import Call, Reply, listening

HEADERS = {"webhook-id": "1"}


def settings(**changes: object) -> Settings:
    return Settings.model_validate(
        {
            "node_id": "H43",
            "public_url": "http://127.0.0.1:8080",
            "database_url": "postgresql+asyncpg://",
            "timeout_seconds": 5,
            **changes,
        }
    )


@asynccontextmanager
async def way_out(settings_: Settings | None = None, *addresses: str) -> AsyncIterator[Outside]:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses or await resolve_by_system(host, port)

    async with open_http(settings_ or settings()) as http:
        yield Outside(http, settings_ or settings(), resolve)


async def test_a_post_arrives_with_its_own_host_and_body() -> None:
    async with listening() as listener, way_out(None, "127.0.0.1") as outside:
        url = f"http://hook.example.vn:{listener.port}/a/b?c=d#e"
        answer = await outside.post(url, '{"data":{}}', HEADERS)
    assert answer.status == 204
    (call,) = listener.calls
    assert (call.method, call.target, call.body) == ("POST", "/a/b?c=d", b'{"data":{}}')
    assert call.headers["host"] == f"hook.example.vn:{listener.port}"
    assert call.headers["webhook-id"] == "1"
    assert call.headers["connection"] == "close"
    assert call.headers["content-type"].startswith("application/cloudevents+json")


async def test_a_redirect_is_reported_and_not_followed() -> None:
    async with listening() as target:
        async with listening(lambda _: Reply(307, {"Location": target.url})) as listener, way_out() as outside:
            answer = await outside.post(listener.url, "{}", HEADERS)
        assert answer.status == 307
        assert target.calls == []


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "169.254.169.254", "8.8.8.8", "0.0.0.0", "::", "fe80::1%eth0", "::ffff:10.0.0.1", "fd00::1"],
)
async def test_an_address_off_the_allow_list_is_never_connected_to(address: str) -> None:
    def explode(_: httpx.Request) -> httpx.Response:
        raise AssertionError("a connection was tried")

    async def resolve(_: str, __: int) -> Sequence[str]:
        return [address]

    async with httpx.AsyncClient(transport=httpx.MockTransport(explode)) as http:
        answer = await Outside(http, settings(), resolve).post("https://hook.example.vn/", "{}", HEADERS)
    assert answer.refused
    assert "may not call" in answer.detail


async def test_an_allowed_address_is_taken_where_others_stand_beside_it() -> None:
    async with listening() as listener, way_out(None, "10.0.0.1", "::ffff:127.0.0.1") as outside:
        answer = await outside.post(f"http://hook.example.vn:{listener.port}/", '{"data":{}}', HEADERS)
    assert answer.status == 204


async def test_the_next_allowed_address_is_tried_when_one_is_closed() -> None:
    async with listening() as listener, way_out(None, "127.0.0.99", "127.0.0.1") as outside:
        answer = await outside.post(f"http://hook.example.vn:{listener.port}/", '{"data":{}}', HEADERS)
    assert answer.status == 204


async def test_the_name_is_resolved_once_and_the_checked_address_is_used() -> None:
    asked = []

    async def rebinding(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    async with listening() as listener, open_http(settings()) as http:
        url = f"http://hook.example.vn:{listener.port}/"
        answer = await Outside(http, settings(), rebinding).post(url, '{"data":{}}', HEADERS)
    assert answer.status == 204
    assert asked == ["hook.example.vn"]


async def test_numbers_in_other_spellings_are_still_addresses() -> None:
    async with way_out() as outside:
        for host in ("167772161", "0x0a000001", "10.1"):  # all of them 10.x
            assert (await outside.post(f"http://{host}/", "{}", HEADERS)).refused


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "http://u:p@127.0.0.1/", "http:///x", "http://[::1", "x", "", "http://127.0.0.1:x/"]
)
async def test_a_url_that_is_none_of_ours_is_refused(url: str) -> None:
    async with way_out() as outside:
        assert (await outside.post(url, "{}", HEADERS)).refused


async def test_without_tls_only_named_networks_are_called() -> None:
    strict = settings(allowed_networks="127.0.0.0/8", plain_http_networks="127.0.0.2/32")
    async with listening() as listener, way_out(strict) as outside:
        answer = await outside.post(listener.url, "{}", HEADERS)
    assert answer.refused
    assert "https" in answer.detail
    assert listener.calls == []


async def test_no_more_than_64_kib_of_an_answer_are_read() -> None:
    body = b"x" * 1_000_000
    async with listening(lambda _: Reply(200, {}, body)) as listener, way_out() as outside:
        assert len((await outside.post(listener.url, "{}", HEADERS, read_body=True)).body) == MAX_ANSWER_BYTES
        assert (await outside.post(listener.url, "{}", HEADERS)).body == b""


async def test_an_endpoint_that_hangs_has_failed() -> None:
    async with listening(lambda _: None) as listener, way_out(settings(timeout_seconds=0.2)) as outside:
        answer = await outside.post(listener.url, "{}", HEADERS)
    assert answer.status is None
    assert "no answer within" in answer.detail


async def test_whatever_goes_wrong_is_an_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with way_out() as outside:
        assert "no connection" in (await outside.post(f"http://127.0.0.1:{port}/", "{}", HEADERS)).detail
        assert "resolved" in (await outside.post("http://no-such-host.invalid/", "{}", HEADERS)).detail
    async with listening(lambda _: Reply(200, {"Content-Length": "x"})) as listener, way_out() as outside:
        assert (await outside.post(listener.url, "{}", HEADERS)).status is None


async def test_cookies_of_one_endpoint_are_not_told_to_another() -> None:
    def with_cookie(_: Call) -> Reply:
        return Reply(204, {"Set-Cookie": "a=b; Path=/"})

    async with listening(with_cookie) as listener, way_out() as outside:
        await outside.post(listener.url, "{}", HEADERS)
        await outside.post(listener.url, "{}", HEADERS)
    assert all("cookie" not in call.headers for call in listener.calls)


def a_tls_server(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """A certificate that is its own anchor, for one DNS name."""
    key = a_p256_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(MOMENT)
        .not_valid_after(MOMENT + timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, anchor = folder / "server.pem", folder / "anchor.pem"
    anchor.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + anchor.read_bytes()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, anchor


async def test_tls_is_judged_by_the_name_and_not_by_the_address(tmp_path: Path) -> None:
    tls, anchor = a_tls_server(tmp_path, "hook.example.vn")
    trusting = settings(ca_file=anchor)
    async with listening(tls=tls) as listener:
        async with way_out(trusting, "127.0.0.1") as outside:
            good = await outside.post(f"https://hook.example.vn:{listener.port}/", '{"data":{}}', HEADERS)
            other = await outside.post(f"https://other.example.vn:{listener.port}/", '{"data":{}}', HEADERS)
        async with way_out(settings(), "127.0.0.1") as outside:
            stranger = await outside.post(f"https://hook.example.vn:{listener.port}/", '{"data":{}}', HEADERS)
    assert good.status == 204
    assert (other.status, stranger.status) == (None, None)
    assert "certificate" in other.detail
    assert len(listener.calls) == 1
