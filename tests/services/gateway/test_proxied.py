"""
What a request says about its caller is believed from a proxy, and from nobody else.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from gateway.proxied import BehindProxy, ClientCertificate, read_networks
from gateway.settings import Settings
from shared.testing.pki import a_p256_key
from tests.services.gateway.conftest import MakeWorld

SAID = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https", "x-client-verify": "SUCCESS"}


def a_certificate() -> x509.Certificate:
    key = a_p256_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "qlvb")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )


async def seen_behind(proxies: str, headers: dict[str, str], *, client: str = "10.1.0.7") -> dict[str, Any]:
    """
    What an application behind the proxy is told about a request.
    """
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)

    lines = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "client": (client, 1), "scheme": "http", "headers": [(b"host", b"x"), *lines]}
    await BehindProxy(app, proxies=read_networks(proxies))(scope, None, None)  # type: ignore[arg-type]
    return seen


async def test_a_proxy_is_believed_and_its_headers_go_no_further() -> None:
    certificate = a_certificate()
    escaped = quote(certificate.public_bytes(Encoding.PEM))
    seen = await seen_behind("10.0.0.0/8, ::1/128", {**SAID, "x-client-cert": escaped, "forwarded": "for=1"})
    assert (seen["client"][0], seen["scheme"]) == ("203.0.113.9", "https")
    digest = certificate.fingerprint(hashes.SHA256()).hex()
    assert seen["state"]["client_certificate"] == ClientCertificate(sha256=digest, verified=True)
    assert seen["headers"] == [(b"host", b"x")]


@pytest.mark.parametrize(("proxies", "client"), [("", "10.1.0.7"), ("10.0.0.0/8", "192.0.2.1"), ("10.0.0.0/8", "?")])
async def test_anybody_else_is_not_believed(proxies: str, client: str) -> None:
    escaped = quote(a_certificate().public_bytes(Encoding.PEM))
    seen = await seen_behind(proxies, {**SAID, "x-client-cert": escaped, "x-real-ip": "1.1.1.1"}, client=client)
    assert (seen["client"][0], seen["scheme"]) == (client, "http")
    assert "state" not in seen
    assert seen["headers"] == [(b"host", b"x")]


async def test_of_several_addresses_only_the_one_the_proxy_added_counts() -> None:
    seen = await seen_behind("10.0.0.0/8", {"x-forwarded-for": "198.51.100.1, 203.0.113.9"})
    assert seen["client"][0] == "203.0.113.9"


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-for": "not an address", "x-forwarded-proto": "gopher"},
        {"x-client-cert": "-----BEGIN%20CERTIFICATE-----rubbish", "x-client-verify": "SUCCESS"},
        {"x-client-cert": "", "x-client-verify": "NONE"},
    ],
)
async def test_what_makes_no_sense_is_left_out(headers: dict[str, str]) -> None:
    seen = await seen_behind("10.0.0.0/8", headers)
    assert (seen["client"], seen["scheme"], seen.get("state")) == (("10.1.0.7", 1), "http", None)


async def test_callers_behind_one_proxy_do_not_share_a_limit(make_world: MakeWorld) -> None:
    world = await make_world(trusted_proxies="127.0.0.1/32", address_rate_per_second=0.001, address_rate_burst=1)
    async with world.client() as client:
        first = await client.get("/v1/agencies", headers={"X-Forwarded-For": "203.0.113.1"})
        again = await client.get("/v1/agencies", headers={"X-Forwarded-For": "203.0.113.1"})
        other = await client.get("/v1/agencies", headers={"X-Forwarded-For": "203.0.113.2"})
    assert first.status_code == other.status_code != 429
    assert again.status_code == 429


def test_networks_that_are_none_are_refused_at_start() -> None:
    with pytest.raises(ValidationError):
        Settings(trusted_proxies="proxy.example.vn")
