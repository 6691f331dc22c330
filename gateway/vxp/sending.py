"""`sendEdoc` and `getSentEdocList`."""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from gateway.api.bodies import incoming
from gateway.vxp.answers import JSON_TYPE, done_with_list, read_time, write, write_time
from gateway.vxp.call import DOCUMENT, STATUS, Call
from gateway.vxp.errors import VxpRequestInvalid
from gateway.vxp.package import store_package
from gateway.vxp.states import business_words, sent_state
from shared.blobs import StoredBlob
from shared.contracts.base import Lane
from shared.contracts.routing import (
    LIST_SENT,
    SUBMIT_DOCUMENT,
    SUBMIT_STATUS,
    ListSent,
    SentItem,
    SentPage,
    SubmitDocument,
    SubmitStatus,
)
from shared.errors import Rejected, RejectedElsewhere

_NOT_THEIRS: Final = frozenset({"sender-not-yours", "agency-not-yours"})
_MAX_ADDRESSEES: Final = 20_000


async def send_edoc(call: Call) -> Response:
    """
    Take a package: a document, or a status about one.
    """
    parameters, settings = call.parameters, call.context.settings
    sender, hash_file = parameters.need("from"), parameters.need("hash-file")
    addressees = read_addressees(parameters.get("to"))
    if call.message_type not in {DOCUMENT, STATUS}:
        raise VxpRequestInvalid("messagetype phải là edoc hoặc status. / messagetype must be edoc or status.")
    caller = await call.context.verifier.verify(call.token, "send")
    blobs, limit = call.context.blobs, settings.max_packet_bytes
    async with (
        incoming(call.request, call.context, caller, lane=Lane.ORDINARY, types=None, max_bytes=limit) as chunks,
        blobs.writer(limit) as writer,
    ):
        blob = await store_package(chunks, writer, hash_file)
    try:
        doc_id = await _submit(call, blob, sender, addressees)
    except Rejected as refusal:
        if refusal.problem_code not in _NOT_THEIRS:
            raise
        # The most frequent mistake of all, so it is named with both codes.
        words = f"{refusal.detail} (from: {sender}; systemid: {parameters.get('systemid')})"
        raise RejectedElsewhere(refusal.problem_code, words, errors=refusal.errors) from refusal
    body = {"status": "OK", "ErrorCode": "0", "ErrorDesc": "Thanh cong", "DocId": str(doc_id)}
    return Response(write(body), media_type=JSON_TYPE)


async def _submit(call: Call, blob: StoredBlob, sender: str, addressees: tuple[str, ...]) -> UUID:
    bus, within = call.context.bus, timedelta(seconds=call.context.settings.submit_seconds)
    if call.message_type == STATUS:
        status = SubmitStatus(
            token=call.token,
            packet_sha256=blob.sha256,
            packet_bytes=blob.size_bytes,
            sender=sender,
            addressees=addressees,
            # Clients send again whatever failed anywhere; the same package is the same status.
            idempotency_key=f"vxp:{blob.sha256}",
        )
        return (await bus.ask(SUBMIT_STATUS, status, within=within)).status_id
    document = SubmitDocument(
        token=call.token,
        packet_sha256=blob.sha256,
        packet_bytes=blob.size_bytes,
        sender=sender,
        addressees=addressees,
    )
    return (await bus.ask(SUBMIT_DOCUMENT, document, within=within)).document_id


def read_addressees(text: str) -> tuple[str, ...]:
    """
    Read `to`: the text of a JSON array, or one bare code.

    Raises:
        VxpRequestInvalid: It is neither.
    """
    if not text.strip():
        return ()
    try:
        codes = json.loads(text) if text.lstrip().startswith("[") else [text]
    except (ValueError, RecursionError):
        codes = None
    if not isinstance(codes, list) or len(codes) > _MAX_ADDRESSEES or not all(isinstance(code, str) for code in codes):
        raise VxpRequestInvalid("to phải là mảng JSON các mã. / to must be a JSON array of codes.")
    return tuple(code.strip() for code in codes if code.strip())


async def list_sent(call: Call) -> Response:
    """
    List what was sent, one row for each document and addressee.
    """
    await call.read_body()
    parameters = call.parameters
    if call.message_type == STATUS:
        return await done_with_list(_nothing())
    question = ListSent(
        token=call.token,
        since=read_time(parameters.get("fromDate")),
        until=read_time(parameters.get("toDate")),
        limit=500,
    )
    chosen = _as_uuid(parameters.get("docId"))
    if chosen is not None:
        page = await call.context.bus.ask(LIST_SENT, ListSent(token=call.token, document_id=chosen, limit=500))
        if page.items:
            question = ListSent(token=call.token, document_id=chosen, limit=500)
        # Else it is the id of an item received, left over from an earlier call of the same client object.
    return await done_with_list(_rows(call, question))


async def _nothing() -> AsyncIterator[Mapping[str, Any]]:
    return
    yield


async def _rows(call: Call, question: ListSent) -> AsyncIterator[Mapping[str, Any]]:
    cursor: str | None = None
    while True:
        page: SentPage = await call.context.bus.ask(LIST_SENT, question.model_copy(update={"cursor": cursor}))
        for item in page.items:
            yield _row(item)
        cursor = page.next_cursor
        if cursor is None:
            return


def _row(item: SentItem) -> Mapping[str, Any]:
    state, words = sent_state(item)
    taken_at = item.acknowledged_at or (item.available_at and item.changed_at)
    return {
        "serviceType": "eDoc",
        "messageType": DOCUMENT,
        "senderDocId": str(item.document_id),
        "receiverDocId": None if item.delivery_id is None else str(item.delivery_id),
        "fromCode": item.sender,
        "toCode": item.addressee,
        "title": item.subject or None,
        "notation": item.notation or None,
        "sentTime": write_time(item.accepted_at),
        "receivedTime": None if taken_at is None else write_time(taken_at),
        "sendStatus": state,
        "sendStatusDesc": words,
        "receiveStatus": item.status,
        "receiveStatusDesc": None if item.status is None else business_words(item.status),
    }


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None
