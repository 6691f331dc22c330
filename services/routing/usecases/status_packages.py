"""Status packages: what an agency says of a document, in a package of its own that travels on verbatim."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.routing.domain.deliveries import illegal_step
from services.routing.domain.register import Mandate
from services.routing.domain.status_packages import TAKE_BACK, Noted, clues, note
from services.routing.errors import NotFound
from services.routing.repository import status_packages as repository
from services.routing.repository.deliveries import Delivery
from services.routing.usecases.access import authorize
from services.routing.usecases.checks import HEADER, check_from
from services.routing.usecases.context import Context
from services.routing.usecases.keys import RequestKey
from shared.contracts.base import MAX_ITEMS, Lane
from shared.contracts.registry import AgencyEntry, Role
from shared.contracts.routing import DeliveryState, StatusesReported, StatusFact, StatusSubmitted, SubmitStatus
from shared.edxml import PacketInvalid, StatusReport
from shared.errors import FieldError
from shared.outbox import UnitOfWork

OPERATION = "submit_status"


@dataclass(frozen=True)
class _Said:
    """
    What is to be written.
    """

    request: SubmitStatus
    mandate: Mandate
    reporter: AgencyEntry
    status: StatusReport
    noted: Noted
    bytes_size: int
    now: datetime

    @property
    def is_take_back(self) -> bool:
        return self.noted.code == TAKE_BACK

    @property
    def key(self) -> RequestKey:
        return _key(self.mandate, self.request)


async def submit_status(context: Context, request: SubmitStatus) -> StatusSubmitted:
    """
    Record what a status package says, with all that a status over REST does; the one it is meant for gets its bytes.

    Raises:
        PacketMalformed, PacketInvalid: It is no status package, or a bad one.
        SenderNotYours, AgencyNotYours: The caller may not report for `From`, or named another agency.
        NotFound: No document of `ResponseFor` was delivered to the reporting agency, or sent by it where it asks one
            back.
        IllegalStep: It never reached the mailbox, or waits for another series.
        IdempotencyKeyReused: The key was used for another request.
        Unavailable: Something is out of reach; the same request may be repeated.
    """
    mandate = await authorize(context, request.token)
    packet = await context.packets.read(request.packet_sha256)
    status = packet.status
    if status is None:
        detail = "Đây là gói văn bản, không phải gói trạng thái. / This is a document package, not a status."
        raise PacketInvalid(detail, errors=[FieldError(pointer=HEADER, code="document-package", detail=detail)])
    noted = note(status)
    scope, role = ("send", Role.SENDER) if noted.code == TAKE_BACK else ("acknowledge", Role.RECEIVER)
    mandate = await authorize(context, request.token, scope)
    reporter = check_from(mandate, status.sender.organ_id, role, named=request.sender)
    said = _Said(request, mandate, reporter, status, noted, packet.packet_size, context.clock.now())
    await context.packets.keep(request.packet_sha256)
    async with context.store.begin() as uow:
        earlier = await said.key.find(uow.connection)
        if earlier is not None:
            return StatusSubmitted(created=False, status_id=earlier)
        targets = await (_taken_back if said.is_take_back else _answered)(uow.connection, said)
        answer = await _record(context, uow, said, targets)
        await uow.commit()
    return answer


async def _answered(connection: AsyncConnection, said: _Said) -> list[Delivery]:
    """The one delivery an addressee speaks of."""
    senders = _keys_of(said, said.status.response_for.organ_id)
    for clue in clues(said.status.response_for):
        documents = await repository.find_documents(connection, senders, clue)
        found = await repository.deliveries_of(connection, [row.id for row in documents], [said.reporter.key])
        there = [one for one in found if one.available_at is not None]
        if there:
            if there[0].state in {DeliveryState.QUEUED, DeliveryState.CANCELLED}:
                raise illegal_step(there[0].state)
            return there[:1]
    raise _unknown(said)


async def _taken_back(connection: AsyncConnection, said: _Said) -> list[Delivery]:
    """The deliveries of a document that its sender asks back: one addressee's, some, or all."""
    response_for = said.status.response_for
    for clue in clues(response_for):
        documents = await repository.find_documents(connection, [said.reporter.key], clue)
        if not documents:
            continue
        everybody = await repository.deliveries_of(connection, [documents[0].id], None)
        asked = _of(everybody, _keys_of(said, response_for.organ_id))
        if not asked and said.request.addressees:
            asked = _of(everybody, [key for code in said.request.addressees for key in _keys_of(said, code)])
        if not asked and said.reporter.key in _keys_of(said, response_for.organ_id):
            asked = everybody
        # What is not opened yet, or will never be, cannot be asked back from anybody.
        open_ones = [one for one in asked if one.state is not DeliveryState.CANCELLED]
        if open_ones:
            return open_ones
        if asked:
            raise illegal_step(asked[0].state)
    raise _unknown(said)


def _of(deliveries: Sequence[Delivery], keys: Sequence[UUID]) -> list[Delivery]:
    return [one for one in deliveries if one.mailbox_key in keys or one.addressee_key in keys]


def _keys_of(said: _Said, code: str) -> list[UUID]:
    """Every agency that has or had a code: a document outlives the agency that sent it."""
    return [entry.key for entry in said.mandate.register.all_with(code)]


async def _record(context: Context, uow: UnitOfWork, said: _Said, targets: Sequence[Delivery]) -> StatusSubmitted:
    reports = [_report_row(context, said, target) for target in targets]
    created = await repository.add_reports(uow.connection, reports)
    new = [(row, target) for row, target in zip(reports, targets, strict=True) if row["id"] in created]
    await repository.add_items(uow.connection, [_item_row(said, row["id"], target) for row, target in new])
    # An event tells of one document only, and all targets are of one.
    facts = [_fact(said, row, target) for row, target in new]
    for start in range(0, len(facts), MAX_ITEMS):
        event = StatusesReported(items=tuple(facts[start : start + MAX_ITEMS]))
        uow.outbox.add(event, lane=Lane(targets[0].lane))
    if new:
        concerned = {target.mailbox_key for _, target in new} | {target.sender_key for _, target in new}
        context.hint_after_commit(uow, concerned)
    ids = [target.id for target in targets]
    status_id = await repository.first_report(uow.connection, ids, said.noted.code, said.noted.content_sha256)
    # A copy that took the key since we looked has found the same status.
    await said.key.take(uow.connection, status_id, said.now)
    return StatusSubmitted(created=bool(created), status_id=status_id)


def _report_row(context: Context, said: _Said, target: Delivery) -> dict[str, Any]:
    return {
        "id": context.new_id(),
        "delivery_id": target.id,
        "document_id": target.document_id,
        "reporter_key": said.reporter.key,
        "sender_key": target.sender_key,
        "code": said.noted.code,
        "description": said.noted.description,
        "staff": said.noted.staff,
        "content_sha256": said.noted.content_sha256,
        "system_id": said.mandate.system.id,
        "credential_id": said.mandate.credential_id,
        "happened_at": said.noted.happened_at,
        "reported_at": said.now,
    }


def _item_row(said: _Said, status_id: UUID, target: Delivery) -> dict[str, Any]:
    return {
        "status_id": status_id,
        "addressee_key": _meant_for(said, target),
        "bytes_sha256": said.request.packet_sha256,
        "bytes_size": said.bytes_size,
        "state": DeliveryState.AVAILABLE.value,
        "changed_at": said.now,
    }


def _fact(said: _Said, row: dict[str, Any], target: Delivery) -> StatusFact:
    return StatusFact(
        status_id=row["id"],
        delivery_id=target.id,
        document_id=target.document_id,
        reporter_key=said.reporter.key,
        sender_key=target.sender_key,
        addressee_key=target.mailbox_key if said.is_take_back else None,
        code=said.noted.code,
        happened_at=said.noted.happened_at,
    )


def _meant_for(said: _Said, target: Delivery) -> UUID:
    return target.mailbox_key if said.is_take_back else target.sender_key


def _unknown(said: _Said) -> NotFound:
    response_for = said.status.response_for
    named = ", ".join(one for one in (response_for.organ_id, response_for.document_id, response_for.code) if one)
    detail = (
        f"Không tìm thấy văn bản của trạng thái này (ResponseFor: {named}). / "
        f"No document of this status is known to {said.reporter.code} (ResponseFor: {named})."
    )
    error = FieldError(pointer=f"{HEADER}/ResponseFor", code="status-document-unknown", detail=detail)
    return NotFound(detail, errors=[error])


def _key(mandate: Mandate, request: SubmitStatus) -> RequestKey:
    said = "\n".join((request.packet_sha256, *sorted(request.addressees)))
    return RequestKey(mandate.system.id, request.idempotency_key, OPERATION, said)
