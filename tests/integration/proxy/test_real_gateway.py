"""
A real node behind the proxy: what a caller sees is what it would see without one.
"""

import asyncio
import hashlib
import json
import os
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from deploy.embedded.home import Home, init_home
from deploy.embedded.papers import paper, seal_of
from deploy.embedded.postgres import PrivatePostgres
from deploy.embedded.systems import ensure_system, import_table
from deploy.proxy.certificates import ProxyCertificate
from deploy.proxy.nginx import Proxy
from shared.client import Credential, Transport
from shared.edxml import AttachmentSource
from shared.testing.node_process import NodeProcess
from tests.integration.proxy.client_certificates import ClientFiles, a_client_certificate
from tests.integration.proxy.test_passing_on import raw

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLE = Path(__file__).parents[3] / "deploy" / "data" / "agencies-2024.csv"
SENDER, RECEIVER = "H43.31", "H43.32"
PACKET_TYPE = "application/edxml+xml"
MIB = 1024 * 1024


@dataclass
class Target:
    """
    The node, its proxy, and who knocks.
    """

    proxy: Proxy
    node: NodeProcess
    trusting: ssl.SSLContext
    http: httpx.AsyncClient
    sender: Credential
    receiver: Credential

    async def token(self, system: Credential) -> dict[str, str]:
        assert system.secret is not None
        answer = await self.http.post(
            "/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=(system.system_id, system.secret.get_secret_value()),
        )
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def log_lines(self, correlation_id: str) -> list[dict[str, object]]:
        lines = (json.loads(line) for line in self.node.log.read_text().splitlines() if line.startswith("{"))
        return [line for line in lines if line.get("correlation_id") == correlation_id]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def target(
    tmp_path_factory: pytest.TempPathFactory, folder: Path, server_certificate: ProxyCertificate
) -> AsyncIterator[Target]:
    folder = tmp_path_factory.mktemp("behind") / "home"
    config = init_home(folder, node_id="H43", port=0, admin_port=0).config
    home, node = Home(folder), NodeProcess(folder, config.public_url)
    proxy = Proxy(
        folder.parent / "proxy",
        gateways=[config.public_url.removeprefix("http://")],
        certificate=server_certificate.certificate,
        key=server_certificate.key,
        public_url=config.public_url,
        workers="1",
        shutdown_seconds=5,
    )
    trusting = ssl.create_default_context(cafile=server_certificate.authority)
    os.environ["GATEWAY_TRUSTED_PROXIES"] = "127.0.0.1/32"
    try:
        await node.start()
        await asyncio.to_thread(proxy.start)
        admin_credential = Credential.read(home.admin_credential)
        async with (
            Transport(admin_credential.url, admin_credential) as admin,
            Transport(config.public_url) as public,
            httpx.AsyncClient(base_url=proxy.url, verify=trusting, timeout=90) as http,
        ):
            await import_table(admin, TABLE.read_bytes(), as_of="2024-12-31", under="H43")
            sender, receiver = [
                await ensure_system(admin, public, home.systems, system_id=name, name=name, agencies=agencies)
                for name, agencies in (("qlvb-gui", [SENDER]), ("qlvb-nhan", [RECEIVER]))
            ]
            yield Target(proxy, node, trusting, http, sender, receiver)
    finally:
        del os.environ["GATEWAY_TRUSTED_PROXIES"]
        await asyncio.to_thread(proxy.stop)
        if node._process is not None:
            await node.stop()
        await PrivatePostgres(home.postgres).remove()


def a_packet(target: Target, number: str, size: int) -> bytes:
    return paper(
        sender=(SENDER, "Bên gửi"),
        to=[(RECEIVER, "Bên nhận")],
        number=number,
        subject="s",
        attachments=(AttachmentSource(os.urandom(size), "lon.bin"),),
        seal=seal_of(target.sender),
    )


async def test_a_large_packet_travels_through_the_proxy_and_wakes_who_waits(target: Target) -> None:
    packet = a_packet(target, "lon", 8 * MIB)
    mine, theirs = await target.token(target.sender), await target.token(target.receiver)
    waiting = asyncio.create_task(target.http.get("/v1/inbox?wait=60", headers=theirs))
    sent = await target.http.post("/v1/documents", content=packet, headers={**mine, "Content-Type": PACKET_TYPE})
    assert sent.status_code in {200, 201, 202}, sent.text
    [item] = (await waiting).json()["items"]
    got = await target.http.get(f"/v1/inbox/{item['delivery_id']}/packet", headers=theirs)
    assert hashlib.sha256(got.content).digest() == hashlib.sha256(packet).digest()
    assert got.headers["content-length"] == str(len(packet))
    part = await target.http.get(
        f"/v1/inbox/{item['delivery_id']}/packet", headers={**theirs, "Range": "bytes=100-199"}
    )
    assert (part.status_code, part.content) == (206, packet[100:200])
    assert not any(
        (target.proxy.folder / name).is_dir() and list((target.proxy.folder / name).iterdir())
        for name in ("body", "proxy")
    )


@pytest.mark.parametrize(
    ("size", "status"), [(MIB - 20_000, 200), (MIB + 1, 431), (1087 * 1024 - 64, 431), (3 * MIB, 431)]
)
async def test_header_lines_may_have_one_mebibyte(target: Target, size: int, status: int) -> None:
    answer = await target.http.get("/.well-known/axis", headers={"X-Filler": "x" * size})
    assert answer.status_code == status
    if status != 200:
        assert answer.json()["code"] == "headers-too-large"


async def test_many_header_lines_may_have_one_mebibyte_together(target: Target) -> None:
    lines = {f"X-Filler-{number}": "x" * 10_000 for number in range(90)}
    assert (await target.http.get("/.well-known/axis", headers=lines)).status_code == 200


async def test_what_the_head_shows_to_be_too_large_is_refused_before_it_is_sent(target: Target) -> None:
    token = (await target.token(target.sender))["Authorization"]
    head = (
        f"POST /v1/documents HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Type: {PACKET_TYPE}\r\n"
        f"Content-Length: {1 << 40}\r\nExpect: 100-continue\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", target.proxy.port, ssl=target.trusting)
    writer.write(head.encode())
    async with asyncio.timeout(30):
        said = await reader.readuntil(b"packet-too-large")
    writer.close()
    assert b"HTTP/1.1 413 " in said


async def test_a_caller_without_a_token_is_told_so_while_it_is_sending(target: Target) -> None:
    answer = await target.http.post(
        "/v1/documents", content=os.urandom(30 * MIB), headers={"Content-Type": PACKET_TYPE}
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "token-missing")


async def test_a_doubled_slash_is_another_address(target: Target) -> None:
    said = await raw(
        target.proxy, target.trusting, b"GET //v1//agencies HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    problem = json.loads(said.partition(b"\r\n\r\n")[2])
    assert (problem["code"], problem["instance"]) == ("not-found", "//v1//agencies")


async def test_the_node_writes_down_who_the_proxy_saw(
    target: Target, server_certificate: ProxyCertificate, tmp_path: Path
) -> None:
    mine = a_client_certificate(tmp_path)
    answer = await ask_with(target.proxy, mine, server_certificate, {"X-Correlation-Id": "with-certificate"})
    assert answer.status_code == 200
    assert answer.headers["x-correlation-id"] == "with-certificate"
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(mine.certificate.read_text())).hexdigest()
    [line] = target.log_lines("with-certificate")
    assert (line["certificate"], line["verified"]) == (digest, False)
    async with asyncio.timeout(30):
        # nginx writes its line once the answer has left.
        while not (lines := proxied_lines(target, "with-certificate")):
            await asyncio.sleep(0.05)
    [proxied] = lines
    assert (proxied["status"], proxied["path"]) == ("200", "/.well-known/axis")


def proxied_lines(target: Target, correlation: str) -> list[dict[str, str]]:
    lines = (target.proxy.folder / "access.log").read_text().splitlines()
    return [json.loads(line) for line in lines if f'"{correlation}"' in line]


async def ask_with(
    proxy: Proxy, files: ClientFiles, authority: ProxyCertificate, headers: dict[str, str]
) -> httpx.Response:
    context = ssl.create_default_context(cafile=authority.authority)
    context.load_cert_chain(files.certificate, files.key)
    async with httpx.AsyncClient(base_url=proxy.url, verify=context, timeout=30) as client:
        return await client.get("/.well-known/axis", headers=headers)
