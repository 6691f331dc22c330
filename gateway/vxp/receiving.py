"""The inbox: lists, bytes, transfer results, counters."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar
from uuid import UUID, uuid4

from starlette.responses import Response, StreamingResponse

from gateway.api.files import begun
from gateway.vxp.answers import CLOSE, JSON_TYPE, done, done_with_list, opening, write_time
from gateway.vxp.call import DOCUMENT, STATUS, Call
from gateway.vxp.errors import VxpRequestInvalid
from gateway.vxp.operations import VxpOperation
from gateway.vxp.states import INITIAL, PROCESSING, TRANSFER, transfer_state
from shared.contracts.routing import (
    ACKNOWLEDGE,
    ACKNOWLEDGE_STATUS,
    COUNT_INBOX,
    LIST_INBOX,
    LIST_STATUS_ITEMS,
    OPEN_PACKET,
    OPEN_STATUS,
    Acknowledge,
    AcknowledgeStatus,
    ChooseDelivery,
    ChooseStatus,
    CountInbox,
    InboxItem,
    ListInbox,
    ListStatusItems,
    OpenBlob,
    StatusItem,
)
from shared.errors import Rejected

_T = TypeVar("_T")

_ITEM_NAMES: Final = ("docId", "docid")
_RESULT_NAMES: Final = ("docid", "docId")
"""A client that spells it `docid` here still carries the `docId` of its last `getEdoc`."""

_TRIPLE: Final = 3
"""Base64 turns so many bytes into four letters; pieces are cut at multiples of it."""


async def list_received(call: Call) -> Response:
    """
    List everything that waits for the caller's agencies. What else stands among the parameters is left over from
    earlier calls and narrows nothing.
    """
    await call.read_body()
    return await done_with_list(_waiting_statuses(call) if call.message_type == STATUS else _waiting_documents(call))


async def get_edoc(call: Call) -> Response:
    """
    Give a package in base64, without ever holding it whole.
    """
    await call.read_body()
    blob = await _open(call, call.read_id(*_ITEM_NAMES))
    head, tail = opening("data") + b'"', b'"}'
    letters = (blob.bytes + _TRIPLE - 1) // _TRIPLE * 4
    length = len(head) + letters + len(tail)
    chunks = await begun(call.context.blobs.open(blob.sha256))
    headers = {**CLOSE, "Content-Length": str(length), "Cache-Control": "no-store"}
    return StreamingResponse(_in_base64(chunks, head, tail), media_type=JSON_TYPE, headers=headers)


async def download_edoc(call: Call) -> Response:
    """
    Give a package as it is.
    """
    await call.read_body()
    blob = await _open(call, call.read_id(*_ITEM_NAMES))
    chunks = await begun(call.context.blobs.open(blob.sha256))
    headers = {**CLOSE, "Content-Length": str(blob.bytes), "Cache-Control": "no-store"}
    return StreamingResponse(chunks, media_type="application/octet-stream", headers=headers)


async def update_status(call: Call) -> Response:
    """
    Take the result of one item. Done and failed end it; being at work on it is the same as having fetched it.
    """
    await call.read_body()
    item_id = call.read_id(*_RESULT_NAMES)
    result = call.parameters.need("status").strip().lower()
    if result not in TRANSFER:
        raise VxpRequestInvalid(
            f"status phải là một trong: {', '.join(TRANSFER)}. / status must be one of these; what an agency does with "
            "a document is said in a status package."
        )
    if result in {INITIAL, PROCESSING}:
        # Also proves that the item is the caller's.
        await _open(call, item_id)
        return done()
    reason = call.parameters.get("description")[:2_000] if result == "fail" else ""

    async def acknowledge_document(delivery_id: UUID) -> None:
        question = Acknowledge(
            token=call.token, delivery_id=delivery_id, result=result, reason=reason, idempotency_key=f"~{uuid4()}"
        )
        await call.context.bus.ask(ACKNOWLEDGE, question)

    async def acknowledge_status(status_id: UUID) -> None:
        question = AcknowledgeStatus(token=call.token, status_id=status_id, result=result)
        await call.context.bus.ask(ACKNOWLEDGE_STATUS, question)

    await _on_either(call, item_id, acknowledge_document, acknowledge_status)
    return done()


async def count(call: Call) -> Response:
    """
    Say how many items a list would have.
    """
    await call.read_body()
    counts = await call.context.bus.ask(COUNT_INBOX, CountInbox(token=call.token))
    return done(count=counts.documents if call.operation is VxpOperation.COUNT_DOCUMENTS else counts.statuses)


async def _open(call: Call, item_id: UUID) -> OpenBlob:
    bus = call.context.bus

    async def open_document(delivery_id: UUID) -> OpenBlob:
        return await bus.ask(OPEN_PACKET, ChooseDelivery(token=call.token, delivery_id=delivery_id))

    async def open_status(status_id: UUID) -> OpenBlob:
        return await bus.ask(OPEN_STATUS, ChooseStatus(token=call.token, status_id=status_id))

    return await _on_either(call, item_id, open_document, open_status)


async def _on_either(
    call: Call,
    item_id: UUID,
    on_document: Callable[[UUID], Awaitable[_T]],
    on_status: Callable[[UUID], Awaitable[_T]],
) -> _T:
    """Do something to an item whose id alone does not say what it is. A client's last list is a good guess."""
    first, second = (on_status, on_document) if call.message_type == STATUS else (on_document, on_status)
    try:
        return await first(item_id)
    except Rejected as refusal:
        if refusal.problem_code != "not-found":
            raise
    return await second(item_id)


async def _waiting_documents(call: Call) -> AsyncIterator[Mapping[str, Any]]:
    cursor: str | None = None
    while True:
        page = await call.context.bus.ask(LIST_INBOX, ListInbox(token=call.token, limit=200, cursor=cursor))
        for item in page.items:
            yield _document(item)
        cursor = page.next_cursor
        if cursor is None:
            return


async def _waiting_statuses(call: Call) -> AsyncIterator[Mapping[str, Any]]:
    cursor: str | None = None
    while True:
        question = ListStatusItems(token=call.token, limit=500, cursor=cursor)
        page = await call.context.bus.ask(LIST_STATUS_ITEMS, question)
        for item in page.items:
            yield _status(item)
        cursor = page.next_cursor
        if cursor is None:
            return


def _document(item: InboxItem) -> Mapping[str, Any]:
    state, words = transfer_state(item.state)
    return {
        "docId": str(item.delivery_id),
        "serviceType": "eDoc",
        "messageType": DOCUMENT,
        "created_time": write_time(item.accepted_at),
        "updated_time": write_time(item.available_at or item.accepted_at),
        "from": item.sender,
        "to": item.agency,
        "status": state,
        "status_desc": words,
    }


def _status(item: StatusItem) -> Mapping[str, Any]:
    state, words = transfer_state(item.state)
    return {
        "docId": str(item.status_id),
        "serviceType": "eDoc",
        "messageType": STATUS,
        "created_time": write_time(item.created_at),
        "updated_time": write_time(item.changed_at),
        "from": item.from_agency,
        "to": item.to_agency,
        "status": state,
        "status_desc": words,
    }


async def _in_base64(chunks: AsyncIterator[bytes], head: bytes, tail: bytes) -> AsyncIterator[bytes]:
    yield head
    rest = b""
    async for chunk in chunks:
        joined = rest + chunk
        whole = len(joined) // _TRIPLE * _TRIPLE
        yield base64.b64encode(joined[:whole])
        rest = joined[whole:]
    yield base64.b64encode(rest) + tail
