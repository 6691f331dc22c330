"""What only a real server on loopback shows: half-sent bodies, Expect, long polls of clients that go away."""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn

from shared.contracts import routing
from tests.services.gateway.conftest import MakeWorld
from tests.services.gateway.world import AGENCY_KEY, ID, OPENED, World, until

EMPTY = routing.InboxPage(items=(), agency_keys=(AGENCY_KEY,))


@asynccontextmanager
async def listening(world: World, *, http: str = "auto") -> AsyncIterator[int]:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        place.listen()
        config = uvicorn.Config(
            world.gateway.public,
            log_config=None,
            access_log=False,
            lifespan="off",
            http=http,
            timeout_graceful_shutdown=5,
        )
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None
        task = asyncio.create_task(server._serve(sockets=[place]))
        await until(lambda: server.started)
        try:
            yield place.getsockname()[1]
        finally:
            await world.gateway.stop()
            server.should_exit = True
            await task


def begin_peak_anew() -> int:
    Path("/proc/self/clear_refs").write_text("5")
    return peak_kib()


def peak_kib() -> int:
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def head(world: World, length: int, *lines: str) -> bytes:
    return "\r\n".join(
        [
            "POST /v1/documents HTTP/1.1",
            "Host: axis.test",
            f"Authorization: Bearer {world.token()}",
            "Content-Type: application/edxml+xml",
            f"Content-Length: {length}",
            *lines,
            "",
            "",
        ]
    ).encode()


@pytest.mark.parametrize("http", ["httptools", "h11"])
async def test_a_packet_cut_half_way_leaves_nothing(world: World, http: str) -> None:
    async with listening(world, http=http) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head(world, 1_000_000) + b"x" * 600_000)
        await writer.drain()
        await until(world.kept)
        writer.close()
        await writer.wait_closed()
        await until(lambda: not world.kept())
    assert world.questions(routing.SUBMIT_DOCUMENT) == []


async def test_a_body_that_stops_coming_is_answered_and_the_line_closed(make_world: MakeWorld) -> None:
    world = await make_world(body_idle_seconds=0.05)
    async with listening(world) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head(world, 1000) + b"x" * 10)
        answer = await reader.read()  # to the end: the gateway closes the connection
        writer.close()
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"body-incomplete" in answer
    assert world.kept() == []


async def test_a_packet_that_dribbles_is_answered_and_the_line_closed(make_world: MakeWorld) -> None:
    world = await make_world(upload_grace_seconds=0.05, upload_window_seconds=0.05)
    async with listening(world) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head(world, 100_000))
        answer = asyncio.ensure_future(reader.read())
        while not answer.done():
            with contextlib.suppress(ConnectionError):
                writer.write(b"x")
                await writer.drain()
            await asyncio.wait([answer], timeout=0.01)
        writer.close()
    assert (await answer).startswith(b"HTTP/1.1 408")
    assert b"upload-too-slow" in await answer
    assert world.kept() == []


async def test_one_system_cannot_fill_every_place_by_dribbling(make_world: MakeWorld) -> None:
    world = await make_world(max_uploads_per_system=1, max_urgent_uploads_per_system=1)
    async with listening(world) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head(world, 1000) + b"x")
        await writer.drain()
        await until(lambda: world.figures.registry.get_sample_value("axis_gateway_uploads") == 1)
        headers = world.signed_in(**{"Content-Type": "application/edxml+xml"})
        refused = await client.post("/v1/documents", content=b"x" * 10, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (429, "too-many-uploads")
        assert refused.headers["Retry-After"] == "1"
        urgent = await client.post("/v1/documents", content=b"x" * 10, headers=headers | {"Axis-Priority": "3"})
        assert urgent.status_code == 201
        writer.close()
        await writer.wait_closed()


async def test_a_client_that_expects_100_is_refused_before_it_sends(make_world: MakeWorld) -> None:
    world = await make_world(max_packet_bytes=1000)
    async with listening(world) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head(world, 1001, "Expect: 100-continue"))
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")
        writer.close()

        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head(world, 1000, "Expect: 100-continue"))
        assert (await reader.readline()).startswith(b"HTTP/1.1 100")
        await reader.readline()
        writer.write(b"x" * 1000)
        assert (await reader.readline()).startswith(b"HTTP/1.1 201")
        writer.close()


async def test_a_refused_packet_sent_anyway_still_gets_its_answer(make_world: MakeWorld) -> None:
    world = await make_world(max_packet_bytes=1000)
    async with listening(world) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        headers = world.signed_in(**{"Content-Type": "application/edxml+xml"})
        for _ in range(2):  # and the connection stays usable
            answer = await client.post("/v1/documents", content=b"x" * 5_000_000, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (413, "packet-too-large")


async def test_chunked_sending_is_411(world: World) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    async with listening(world) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        headers = world.signed_in(**{"Content-Type": "application/edxml+xml"})
        answer = await client.post("/v1/documents", content=chunks(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (411, "length-required")


async def test_a_long_poll_ends_when_its_client_goes_away(world: World) -> None:
    world.answers[routing.LIST_INBOX.name] = EMPTY
    async with listening(world) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        request = f"GET /v1/inbox?wait=60 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {world.token()}\r\n\r\n"
        writer.write(request.encode())
        await until(lambda: world.gateway.mailboxes.waiting)
        writer.close()
        await writer.wait_closed()
        await until(lambda: not world.gateway.mailboxes.waiting)


async def test_stopping_does_not_wait_for_long_polls(world: World) -> None:
    world.answers[routing.LIST_INBOX.name] = EMPTY
    async with httpx.AsyncClient() as client:
        async with listening(world) as port:
            url = f"http://127.0.0.1:{port}/v1/inbox?wait=60"
            poll = asyncio.create_task(client.get(url, headers=world.signed_in(), timeout=60))
            await until(lambda: world.gateway.mailboxes.waiting)
        assert (await poll).json()["items"] == []


async def test_a_large_packet_goes_in_and_out_in_constant_memory(world: World) -> None:
    size, piece = 200 * 2**20, b"\0" * 2**20

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(size // len(piece)):
            yield piece

    async with listening(world) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        before = begin_peak_anew()
        headers = world.signed_in(**{"Content-Type": "application/edxml+xml", "Content-Length": str(size)})
        sent = await client.post("/v1/documents", content=chunks(), headers=headers)
        assert sent.status_code == 201
        (question,) = world.questions(routing.SUBMIT_DOCUMENT)
        assert question.packet_bytes == size
        world.answers[routing.OPEN_PACKET.name] = OPENED.model_copy(
            update={"sha256": question.packet_sha256, "bytes": size}
        )
        received = 0
        async with client.stream("GET", f"/v1/inbox/{ID}/packet", headers=world.signed_in()) as answer:
            async for chunk in answer.aiter_raw():
                received += len(chunk)
        grown = peak_kib() - before
    assert received == size
    assert grown < 40 * 1024  # a fifth of the packet, with client and server in one process


async def test_head_and_a_range_come_as_announced(world: World) -> None:
    async with world.blobs.writer(10) as writer:
        await writer.write(b"0123456789")
        blob = await writer.commit()
    opened = OPENED.model_copy(update={"sha256": blob.sha256})
    for operation in (routing.OPEN_PACKET, routing.DESCRIBE_PACKET):
        world.answers[operation.name] = opened
    async with listening(world) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        client.headers = world.signed_in()
        path = f"/v1/inbox/{ID}/packet"
        described = await client.head(path)
        rest = await client.get(path, headers={"Range": "bytes=4-", "If-Range": described.headers["ETag"]})
        whole = await client.get(path)
    assert (described.headers["Content-Length"], described.content) == ("10", b"")
    assert (rest.status_code, rest.content) == (206, b"456789")
    assert whole.content == b"0123456789"
