"""Business statuses: an append-only history of what the addressee does; nothing in it moves a delivery."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.routing.domain.deliveries import illegal_step
from services.routing.domain.register import READING_ROLES, Mandate
from services.routing.domain.statuses import check_description, content_digest
from services.routing.repository import AnyRow
from services.routing.repository import deliveries as deliveries_repository
from services.routing.repository import statuses as repository
from services.routing.repository.deliveries import Delivery
from services.routing.usecases.access import authorize, not_found
from services.routing.usecases.acknowledge import check_receiver
from services.routing.usecases.context import Context
from services.routing.usecases.keys import RequestKey
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
    def key(self) -> RequestKey:
        said = f"{self.request.delivery_id}\n{self.content_sha256}"
        return RequestKey(self.mandate.system.id, self.request.idempotency_key, OPERATION, said)

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
    # A copy that took the key since we looked has found the same status.
    await said.key.take(uow.connection, row.id, said.now)
    return StatusReported(created=created, status=_view(mandate, row))


async def _answer_of_key(uow: UnitOfWork, said: _Said) -> StatusReported | None:
    status_id = await said.key.find(uow.connection)
    if status_id is None:
        return None
    row = await repository.read_status(uow.connection, status_id)
    if row is None:
        raise RuntimeError(f"the status {status_id} of an idempotency key is gone")
    return StatusReported(created=False, status=_view(said.mandate, row))


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
