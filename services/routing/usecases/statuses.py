"""Business statuses: an append-only history of what the addressee does; nothing in it moves a delivery."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from services.routing.domain.deliveries import illegal_step
from services.routing.domain.register import READING_ROLES, Mandate
from services.routing.domain.statuses import check_description, content_digest
from services.routing.errors import IdempotencyKeyReused
from services.routing.repository import AnyRow
from services.routing.repository import deliveries as deliveries_repository
from services.routing.repository import documents as documents_repository
from services.routing.repository import statuses as repository
from services.routing.repository.deliveries import Delivery
from services.routing.repository.documents import StoredKey
from services.routing.usecases.access import authorize, not_found
from services.routing.usecases.acknowledge import check_receiver
from services.routing.usecases.context import Context
from shared.contracts.base import Lane
from shared.contracts.routing import (
    ChooseDelivery,
    DeliveryState,
    ReportStatus,
    StaffInfo,
    StatusesReported,
    StatusFact,
    StatusHistory,
    StatusReported,
    StatusView,
)
from shared.outbox import UnitOfWork

OPERATION = "report_status"


@dataclass(frozen=True)
class _Said:
    """
    What is to be written.
    """

    request: ReportStatus
    mandate: Mandate
    content_sha256: str
    now: datetime

    @property
    def staff(self) -> dict[str, Any] | None:
        return None if self.request.staff is None else self.request.staff.model_dump(mode="json")


async def report_status(context: Context, request: ReportStatus) -> StatusReported:
    """
    Record a status; the same content again answers with the entry there is.

    Codes come in any order: what contradicts an earlier one is recorded and applied by nobody.

    Raises:
        NotFound, AgencyNotYours: It is not the caller's delivery to report on.
        IllegalStep: It never reached the mailbox, or waits for another series.
        RequestInvalid: 02 or 16 without a reason.
        IdempotencyKeyReused: The key was used for another request.
    """
    mandate = await authorize(context, request.token, "acknowledge")
    check_description(request.code, request.description)
    staff = None if request.staff is None else request.staff.model_dump(mode="json")
    digest = content_digest(request.code, request.description, staff, request.at)
    said = _Said(request, mandate, digest, context.clock.now())
    async with context.store.begin() as uow:
        found = await deliveries_repository.read_deliveries(uow.connection, [request.delivery_id])
        delivery = check_receiver(mandate, found.get(request.delivery_id))
        if delivery.state in {DeliveryState.QUEUED, DeliveryState.CANCELLED}:
            raise illegal_step(delivery.state)
        answer = await _answer_of_key(uow, said)
        if answer is None:
            answer = await _record(context, uow, delivery, said)
            await uow.commit()
    return answer


async def list_statuses(context: Context, request: ChooseDelivery) -> StatusHistory:
    """
    Give the history of a delivery to those who may read its mailbox.

    Raises:
        NotFound: It is not in a mailbox the caller may read.
    """
    mandate = await authorize(context, request.token, "inbox")
    async with context.store.read() as connection:
        found = await deliveries_repository.read_deliveries(connection, [request.delivery_id])
        delivery = found.get(request.delivery_id)
        if delivery is None or delivery.available_at is None or not mandate.may(delivery.mailbox_key, *READING_ROLES):
            raise not_found("văn bản trong hộp thư")
        rows = await repository.list_statuses(connection, delivery.id)
    return StatusHistory(items=tuple(_view(mandate, row) for row in rows))


async def _record(context: Context, uow: UnitOfWork, delivery: Delivery, said: _Said) -> StatusReported:
    request, mandate = said.request, said.mandate
    status_id = context.new_id()
    created = await repository.add_status(
        uow.connection,
        {
            "id": status_id,
            "delivery_id": delivery.id,
            "document_id": delivery.document_id,
            "reporter_key": delivery.mailbox_key,
            "sender_key": delivery.sender_key,
            "code": request.code,
            "description": request.description,
            "staff": said.staff,
            "content_sha256": said.content_sha256,
            "system_id": mandate.system.id,
            "credential_id": mandate.credential_id,
            "happened_at": request.at or said.now,
            "reported_at": said.now,
        },
    )
    row = await repository.find_status(uow.connection, delivery.id, request.code, said.content_sha256)
    if row is None:
        raise RuntimeError("a status that was just written, or just found, is gone")
    if created:
        item = {"status_id": row.id, "addressee_key": delivery.sender_key}
        await repository.add_item(uow.connection, {**item, "state": "available", "changed_at": said.now})
        fact = StatusFact(
            status_id=row.id,
            delivery_id=delivery.id,
            document_id=delivery.document_id,
            reporter_key=delivery.mailbox_key,
            sender_key=delivery.sender_key,
            code=request.code,
            happened_at=row.happened_at,
        )
        uow.outbox.add(StatusesReported(items=(fact,)), lane=Lane(delivery.lane))
        context.hint_after_commit(uow, {delivery.sender_key, delivery.mailbox_key})
    await _take_key(uow, said, row.id)
    return StatusReported(created=created, status=_view(mandate, row))


async def _answer_of_key(uow: UnitOfWork, said: _Said) -> StatusReported | None:
    if said.request.idempotency_key is None:
        return None
    stored = await documents_repository.find_key(uow.connection, said.mandate.system.id, said.request.idempotency_key)
    if stored is None:
        return None
    if (stored.operation, stored.request_sha256) != (OPERATION, _request_digest(said)):
        raise _key_reused()
    row = await repository.read_status(uow.connection, stored.result_id)
    if row is None:
        raise RuntimeError(f"the status {stored.result_id} of an idempotency key is gone")
    return StatusReported(created=False, status=_view(said.mandate, row))


async def _take_key(uow: UnitOfWork, said: _Said, status_id: UUID) -> None:
    key = said.request.idempotency_key
    if key is None:
        return
    mine = StoredKey(OPERATION, _request_digest(said), status_id)
    if not await documents_repository.add_key(uow.connection, said.mandate.system.id, key, mine, said.now):
        # Taken between our look and now: by the same request, which found the same status, or by another.
        theirs = await documents_repository.find_key(uow.connection, said.mandate.system.id, key)
        if theirs != mine:
            raise _key_reused()


def _key_reused() -> IdempotencyKeyReused:
    return IdempotencyKeyReused(
        "Idempotency-Key đã dùng cho yêu cầu khác. / This Idempotency-Key was used for another request."
    )


def _request_digest(said: _Said) -> str:
    return sha256(f"{said.request.delivery_id}\n{said.content_sha256}".encode()).hexdigest()


def _view(mandate: Mandate, row: AnyRow) -> StatusView:
    return StatusView(
        status_id=row.id,
        delivery_id=row.delivery_id,
        agency=mandate.register.code_of(row.reporter_key),
        code=row.code,
        description=row.description,
        staff=None if row.staff is None else StaffInfo.model_validate(row.staff),
        happened_at=row.happened_at,
        reported_at=row.reported_at,
    )
