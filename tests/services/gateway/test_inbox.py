import asyncio
import hashlib

import pytest

from shared.contracts import routing
from tests.services.gateway.conftest import MakeWorld
from tests.services.gateway.world import AGENCY_KEY, ID, ITEM, OPENED, STATUS, World, refused, until

EMPTY = routing.InboxPage(items=(), agency_keys=(AGENCY_KEY,))
FULL = routing.InboxPage(items=(ITEM,), agency_keys=(AGENCY_KEY,))


async def test_a_mailbox_is_listed_as_asked(world: World) -> None:
    async with world.client() as client:
        answer = await client.get("/v1/inbox?agency=H43.30&state=fetched&shard=3/4&limit=9", headers=world.signed_in())
    assert set(answer.json()) == {"items", "next_cursor"}
    (question,) = world.questions(routing.LIST_INBOX)
    assert (question.agency, question.state, question.shard, question.shards, question.limit) == (
        "H43.30",
        "fetched",
        3,
        4,
        9,
    )


@pytest.mark.parametrize("query", ["shard=4/4", "shard=1/65", "shard=0/0", "shard=a", "wait=61", "state=x", "limit=0"])
async def test_a_bad_query_is_named(world: World, query: str) -> None:
    async with world.client() as client:
        answer = await client.get(f"/v1/inbox?{query}", headers=world.signed_in())
    assert (answer.status_code, answer.json()["code"]) == (422, "request-invalid")


async def test_a_long_poll_ends_with_the_hint_for_its_mailbox(world: World) -> None:
    waiting = asyncio.Event()
    pages = iter([EMPTY, FULL])

    def look(_: object) -> routing.InboxPage:
        asyncio.get_running_loop().call_later(0.01, waiting.set)
        return next(pages)

    world.answers[routing.LIST_INBOX.name] = look
    async with world.client() as client:
        poll = asyncio.create_task(client.get("/v1/inbox?wait=60", headers=world.signed_in()))
        await waiting.wait()
        party = world.bus.party("routing")
        party.hint(routing.MailboxChanged(agency_keys=(ID,)))  # somebody else's
        party.hint(routing.MailboxChanged(agency_keys=(AGENCY_KEY,)))
        answer = await poll
    assert len(answer.json()["items"]) == 1
    assert len(world.questions(routing.LIST_INBOX)) == 2


async def test_a_hint_between_look_and_wait_is_not_lost(world: World) -> None:
    pages = iter([EMPTY, FULL])

    async def look(_: object) -> routing.InboxPage:
        page = next(pages)
        # The document comes after the list was read and before its answer arrives.
        world.bus.party("routing").hint(routing.MailboxChanged(agency_keys=(AGENCY_KEY,)))
        await asyncio.sleep(0)
        return page

    world.answers[routing.LIST_INBOX.name] = look
    async with world.client() as client:
        answer = await client.get("/v1/inbox?wait=60", headers=world.signed_in())
    assert len(answer.json()["items"]) == 1


async def test_a_lost_hint_only_costs_time(make_world: MakeWorld) -> None:
    world = await make_world(poll_seconds=0.01)
    pages = iter([EMPTY, EMPTY, FULL])
    world.answers[routing.LIST_INBOX.name] = lambda _: next(pages)
    async with world.client() as client:
        answer = await client.get("/v1/inbox?wait=60", headers=world.signed_in())
    assert len(answer.json()["items"]) == 1


async def test_a_long_poll_ends_empty_and_ends_early_when_the_door_closes(world: World) -> None:
    world.answers[routing.LIST_INBOX.name] = EMPTY
    async with world.client() as client:
        client.headers = world.signed_in()
        ended = await client.get("/v1/inbox?wait=1")
        poll = asyncio.create_task(client.get("/v1/inbox?wait=60"))
        await until(lambda: len(world.questions(routing.LIST_INBOX)) == 3)
        await world.gateway.stop()
        closed = await poll
        after = await client.get("/v1/inbox?wait=60")
    assert [answer.json()["items"] for answer in (ended, closed, after)] == [[], [], []]


async def test_more_long_polls_than_allowed_answer_at_once(make_world: MakeWorld) -> None:
    world = await make_world(max_waiting=0)
    world.answers[routing.LIST_INBOX.name] = EMPTY
    async with world.client() as client:
        assert (await client.get("/v1/inbox?wait=60", headers=world.signed_in())).json()["items"] == []


async def test_acknowledgements_are_201_and_repeats_200(world: World) -> None:
    path = f"/v1/inbox/{ID}/acknowledgement"
    async with world.client() as client:
        client.headers = world.signed_in()
        first = await client.post(path, json={"result": "done"})
        given = world.questions(routing.ACKNOWLEDGE)[0]
        repeat = routing.Acknowledged.model_validate({**first.json(), "created": False})
        world.answers[routing.ACKNOWLEDGE.name] = repeat
        second = await client.post(path, json={"result": "done"})
        world.answers[routing.ACKNOWLEDGE.name] = refused("acknowledgement-conflict")
        third = await client.post(path, json={"result": "fail", "reason": "hỏng"})
    assert (first.status_code, second.status_code, third.status_code) == (201, 200, 409)
    assert (given.delivery_id, given.result) == (ID, "done")


async def test_statuses_are_reported_and_listed(world: World) -> None:
    path = f"/v1/inbox/{ID}/statuses"
    body = {"code": "03", "staff": {"department": "Văn phòng"}, "at": "2024-12-31T15:00:00+07:00", "unknown": 1}
    async with world.client() as client:
        client.headers = world.signed_in(**{"Idempotency-Key": "k"})
        reported = await client.post(path, json=body)
        world.answers[routing.REPORT_STATUS.name] = routing.StatusReported(created=False, status=STATUS)
        repeated = await client.post(path, json=body)
        listed = await client.get(path)
    assert (reported.status_code, repeated.status_code) == (201, 200)
    assert reported.json() == listed.json()["items"][0] == STATUS.model_dump(mode="json")
    question = world.questions(routing.REPORT_STATUS)[0]
    assert (question.code, question.staff.department, question.idempotency_key) == ("03", "Văn phòng", "k")


async def stored(world: World, content: bytes) -> routing.OpenBlob:
    async with world.blobs.writer(len(content)) as writer:
        await writer.write(content)
        blob = await writer.commit()
    opened = OPENED.model_copy(update={"sha256": blob.sha256, "bytes": blob.size_bytes})
    for operation in (
        routing.OPEN_PACKET,
        routing.DESCRIBE_PACKET,
        routing.OPEN_ATTACHMENT,
        routing.DESCRIBE_ATTACHMENT,
    ):
        world.answers[operation.name] = opened
    return opened


@pytest.mark.parametrize("path", ["packet", "attachments/0"])
async def test_bytes_come_verbatim_and_no_browser_acts_on_them(world: World, path: str) -> None:
    content = bytes(range(256)) * 5000
    await stored(world, content)
    async with world.client() as client:
        answer = await client.get(f"/v1/inbox/{ID}/{path}", headers=world.signed_in())
    assert answer.content == content
    assert answer.headers["ETag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    assert answer.headers["Content-Length"] == str(len(content))
    assert answer.headers["Content-Type"] == "application/edxml+xml"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    assert answer.headers["Content-Disposition"] == (
        "attachment; filename=\"v_n b_n.edxml\"; filename*=UTF-8''v%C4%83n%20b%E1%BA%A3n.edxml"
    )


@pytest.mark.parametrize(
    ("headers", "status", "piece"),
    [
        ({"Range": "bytes=0-3"}, 206, slice(0, 4)),
        ({"Range": "bytes=5-"}, 206, slice(5, None)),
        ({"Range": "bytes=-2"}, 206, slice(8, None)),
        ({"Range": "bytes=-20"}, 206, slice(0, None)),
        ({"Range": "bytes=5-99"}, 206, slice(5, None)),
        ({"Range": "bytes=0-0"}, 206, slice(0, 1)),
        ({"Range": "bytes=3-1"}, 200, slice(None)),
        ({"Range": "bytes=0-1,4-5"}, 200, slice(None)),
        ({"Range": "lines=0-1"}, 200, slice(None)),
        ({"Range": "bytes=0-3", "If-Range": '"other"'}, 200, slice(None)),
    ],
)
async def test_one_range_is_served(world: World, headers: dict[str, str], status: int, piece: slice) -> None:
    await stored(world, b"0123456789")
    async with world.client() as client:
        answer = await client.get(f"/v1/inbox/{ID}/packet", headers=world.signed_in(**headers))
    assert (answer.status_code, answer.content) == (status, b"0123456789"[piece])
    if status == 206:
        start, stop, _ = piece.indices(10)
        assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/10"


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=99-100", "bytes=-0"])
async def test_a_range_beyond_the_end_is_416_and_fetches_nothing(world: World, wanted: str) -> None:
    await stored(world, b"0123456789")
    async with world.client() as client:
        answer = await client.get(f"/v1/inbox/{ID}/packet", headers=world.signed_in(Range=wanted))
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */10")
    assert world.questions(routing.OPEN_PACKET) == []


async def test_head_and_not_modified_do_not_count_as_fetched(world: World) -> None:
    opened = await stored(world, b"0123456789")
    path = f"/v1/inbox/{ID}/attachments/0"
    async with world.client() as client:
        client.headers = world.signed_in()
        head = await client.head(path)
        same = await client.get(path, headers={"If-None-Match": f'"{opened.sha256}"'})
        assert world.questions(routing.OPEN_ATTACHMENT) == []
        other = await client.get(path, headers={"If-None-Match": '"other"'})
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", "10")
    assert (same.status_code, same.content, other.status_code) == (304, b"", 200)
    assert len(world.questions(routing.OPEN_ATTACHMENT)) == 1


async def test_an_empty_file_is_served(world: World) -> None:
    await stored(world, b"")
    async with world.client() as client:
        answer = await client.get(f"/v1/inbox/{ID}/packet", headers=world.signed_in())
    assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (200, b"", "0")


async def test_bytes_that_are_gone_are_a_problem_not_a_cut_answer(world: World) -> None:
    async with world.client() as client:
        answer = await client.get(f"/v1/inbox/{ID}/packet", headers=world.signed_in())
    assert (answer.status_code, answer.json()["code"]) == (503, "blob-missing")


async def test_a_media_type_that_would_break_the_head_is_not_passed_on(world: World) -> None:
    opened = await stored(world, b"x")
    for content_type in ("text/html\r\nX-Evil: 1", "văn/bản", "", "text"):
        world.answers[routing.OPEN_PACKET.name] = opened.model_copy(
            update={"content_type": content_type, "file_name": 'a"\r\n/..\\b\x00.pdf'}
        )
        async with world.client() as client:
            answer = await client.get(f"/v1/inbox/{ID}/packet", headers=world.signed_in())
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert "X-Evil" not in answer.headers
        assert answer.headers["Content-Disposition"].startswith('attachment; filename="a__.._b.pdf"')
