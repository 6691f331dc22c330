"""The operator's work: watching lanes, pausing and resuming, requeueing and cancelling what was given up."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from services.routing.domain.deliveries import CANCELLABLE, CANCELLED_BY_OPERATOR, illegal_step
from services.routing.domain.register import Mandate
from services.routing.domain.states import Cause, is_allowed
from services.routing.errors import RequestInvalid
from services.routing.repository import chunks as repository
from services.routing.repository import deliveries as deliveries_repository
from services.routing.repository import documents as documents_repository
from services.routing.repository import figures as figures_repository
from services.routing.repository.chunks import Control
from services.routing.repository.cursors import read_cursor, write_cursor
from services.routing.repository.deliveries import Delivery
from services.routing.repository.figures import LaneFigures
from services.routing.usecases.access import authorize, find_agency
from services.routing.usecases.context import Context
from services.routing.usecases.steps import Step, StepDetails, make_evidence, take_steps
from shared.contracts.base import Lane
from shared.contracts.routing import (
    COUNTED_UP_TO,
    ActOnDeliveries,
    ActResult,
    ActResults,
    ControlsChanged,
    DeliveryState,
    FailedDelivery,
    FailedPage,
    LaneView,
    ListFailed,
    PausedAgency,
    Queues,
    ReadQueues,
    SetPause,
)
from shared.errors import FieldError
from shared.outbox import UnitOfWork


async def read_queues(context: Context, request: ReadQueues) -> Queues:
    """
    Show the lanes, what is paused, and where deliveries stand.
    """
    mandate = await authorize(context, request.token, "operate")
    return await _queues(context, mandate)


async def set_pause(context: Context, request: SetPause) -> Queues:
    """
    Pause or resume one lane or one addressee; doing it twice changes nothing.

    Raises:
        RequestInvalid: Neither or both are named, or a pause has no reason.
    """
    mandate = await authorize(context, request.token, "operate")
    now = context.clock.now()
    if (request.lane is None) == (request.agency is None):
        raise _invalid("/lane", "Nêu đúng một luồng hoặc một cơ quan. / Name exactly one lane or one agency.")
    if request.paused and not request.reason.strip():
        raise _invalid("/reason", "Tạm dừng phải nêu lý do. / A pause needs a reason.")
    if request.paused and request.until is not None and request.until <= now:
        raise _invalid("/until", "Thời điểm kết thúc đã qua. / The end of the pause has passed.")
    key = None if request.agency is None else find_agency(mandate.register, mandate, request.agency).key
    async with context.store.begin() as uow:
        await _write_control(uow, request, key, mandate.system.id, now)
        changed = ControlsChanged(lane=request.lane, agency_key=key, paused=request.paused, by=mandate.system.id)
        uow.outbox.add(changed)
        for bell in (context.bells.release, context.bells.lanes):
            uow.after_commit(bell.set)
        await uow.commit()
    return await _queues(context, mandate)


async def list_failed(context: Context, request: ListFailed) -> FailedPage:
    """
    List what was given up, what failed first first.

    Raises:
        RequestInvalid: There is no such agency, or the cursor is not one of ours.
    """
    mandate = await authorize(context, request.token, "operate")
    key = None if request.agency is None else find_agency(mandate.register, mandate, request.agency).key
    after = read_cursor(request.cursor, datetime, UUID)
    async with context.store.read() as connection:
        rows = await deliveries_repository.list_failed(connection, key, after, request.limit + 1)
    page = rows[: request.limit]
    cursor = write_cursor(page[-1].changed_at, page[-1].id) if len(rows) > request.limit else None
    items = tuple(
        FailedDelivery(
            delivery_id=row.id,
            document_id=row.document_id,
            sender=row.sender_code,
            agency=mandate.register.code_of(row.mailbox_key),
            series=row.series,
            reason_code=row.reason_code or "",
            reason=row.reason or "",
            failed_at=row.changed_at,
            lane=Lane(row.lane),
        )
        for row in page
    )
    return FailedPage(items=items, next_cursor=cursor)


async def requeue(context: Context, request: ActOnDeliveries) -> ActResults:
    """
    Queue failed deliveries again, each as the next series and a chunk of one in its lane.
    """
    mandate = await authorize(context, request.token, "operate")
    now = context.clock.now()
    async with context.store.begin() as uow:
        found = await deliveries_repository.read_deliveries(uow.connection, set(request.delivery_ids), lock=True)
        chosen = [delivery for delivery in found.values() if delivery.state is DeliveryState.FAILED]
        details = StepDetails(at=now, by=mandate.system.id, reason=request.reason)
        await take_steps(context, uow, [Step(one, DeliveryState.QUEUED, Cause.REQUEUED, details) for one in chosen])
        await _add_chunks_of_one(context, uow, chosen)
        uow.after_commit(context.bells.lanes.set)
        await uow.commit()
    return _results(request, found, {delivery.id for delivery in chosen}, DeliveryState.QUEUED)


async def cancel(context: Context, request: ActOnDeliveries) -> ActResults:
    """
    Give up for good what waits or has failed, with evidence for the sender.

    Raises:
        Unavailable: Signing is out of reach; nothing was cancelled.
    """
    mandate = await authorize(context, request.token, "operate")
    async with context.store.read() as connection:
        found = await deliveries_repository.read_deliveries(connection, set(request.delivery_ids))
    hopeful = [delivery for delivery in found.values() if delivery.state in CANCELLABLE]
    if not hopeful:
        return _results(request, found, set(), DeliveryState.CANCELLED)
    details = StepDetails(
        at=context.clock.now(),
        by=mandate.system.id,
        reason_code=CANCELLED_BY_OPERATOR,
        reason=request.reason,
        requeue_possible=False,
    )
    codes = {delivery.addressee_key: mandate.register.code_of(delivery.addressee_key) for delivery in hopeful}
    evidence = await make_evidence(context, hopeful, DeliveryState.CANCELLED, details, register_codes=codes)
    async with context.store.begin() as uow:
        locked = await deliveries_repository.read_deliveries(uow.connection, evidence.keys(), lock=True)
        chosen = [
            delivery
            for delivery in locked.values()
            if is_allowed(delivery.state, DeliveryState.CANCELLED, Cause.CANCELLED)
            and delivery.series == found[delivery.id].series
        ]
        steps = [Step(one, DeliveryState.CANCELLED, Cause.CANCELLED, details, evidence[one.id]) for one in chosen]
        await take_steps(context, uow, steps)
        await uow.commit()
    return _results(request, {**found, **locked}, {delivery.id for delivery in chosen}, DeliveryState.CANCELLED)


async def _queues(context: Context, mandate: Mandate) -> Queues:
    now = context.clock.now()
    async with context.store.read() as connection:
        found = await figures_repository.read_lanes(connection, most=COUNTED_UP_TO)
        lanes = await repository.paused_lanes(connection, now)
        agencies = await repository.paused_agencies(connection, now)
        in_mailboxes = await figures_repository.count_in_mailboxes(connection, most=COUNTED_UP_TO)
        held = await figures_repository.count_held(connection, most=COUNTED_UP_TO)
        failed, _ = await figures_repository.read_failed(connection, most=COUNTED_UP_TO)
        unsent = await figures_repository.count_unsent(connection, most=COUNTED_UP_TO)
    # What is queued is held, or waits in a chunk of its own to be opened again.
    queued = held + sum(lane.requeued for lane in found.values())
    by_state = {DeliveryState.QUEUED.value: queued, **in_mailboxes, DeliveryState.FAILED.value: failed}
    return Queues(
        lanes=tuple(_lane_view(lane, found[lane], lanes.get(lane), now) for lane in reversed(Lane)),
        paused_agencies=tuple(
            PausedAgency(agency=mandate.register.code_of(key), reason=control.reason, paused_until=control.until)
            for key, control in agencies.items()
        ),
        deliveries={state: count for state, count in by_state.items() if count},
        unopened=sum(lane.unopened for lane in found.values()),
        outbox=unsent,
    )


def _lane_view(lane: Lane, found: LaneFigures, control: Control | None, now: datetime) -> LaneView:
    oldest_at = found.oldest_at
    return LaneView(
        lane=lane,
        waiting=found.waiting,
        waiting_addressees=found.waiting_addressees,
        outstanding=found.outstanding,
        oldest_at=oldest_at,
        oldest_seconds=0.0 if oldest_at is None else max(0.0, (now - oldest_at).total_seconds()),
        paused=control is not None,
        pause_reason=None if control is None else control.reason,
        paused_until=None if control is None else control.until,
    )


async def _write_control(uow: UnitOfWork, request: SetPause, key: UUID | None, by: str, now: datetime) -> None:
    values = {"reason": request.reason, "paused_by": by, "paused_at": now, "paused_until": request.until}
    if request.lane is not None and request.paused:
        await repository.pause_lane(uow.connection, request.lane, values)
    elif request.lane is not None:
        await repository.resume_lane(uow.connection, request.lane)
    elif key is not None and request.paused:
        await repository.pause_agency(uow.connection, key, values)
    elif key is not None:
        await repository.resume_agency(uow.connection, key)


async def _add_chunks_of_one(context: Context, uow: UnitOfWork, deliveries: Sequence[Delivery]) -> None:
    if not deliveries:
        return
    numbers = await repository.next_numbers(uow.connection, {delivery.dispatch_id for delivery in deliveries})
    rows = []
    for delivery in deliveries:
        rows.append(
            {
                "id": context.new_id(),
                "dispatch_id": delivery.dispatch_id,
                "document_id": delivery.document_id,
                "number": numbers[delivery.dispatch_id],
                "lane": delivery.lane,
                "sender_key": delivery.sender_key,
                "accepted_at": delivery.accepted_at,
                "addressee_keys": [delivery.addressee_key],
                "addressee_count": 1,
                "requeued_delivery_id": delivery.id,
                "state": "waiting",
            }
        )
        numbers[delivery.dispatch_id] += 1
    await documents_repository.add_chunks(uow.connection, rows)


def _results(
    request: ActOnDeliveries, found: Mapping[UUID, Delivery], done: set[UUID], to_state: DeliveryState
) -> ActResults:
    def result(delivery_id: UUID) -> ActResult:
        delivery = found.get(delivery_id)
        if delivery is None:
            return ActResult(delivery_id=delivery_id, code="not-found", detail="Không tìm thấy. / Not found.")
        if delivery_id in done:
            return ActResult(delivery_id=delivery_id, state=to_state)
        refusal = illegal_step(delivery.state)
        return ActResult(delivery_id=delivery_id, state=delivery.state, code=refusal.code, detail=refusal.detail)

    return ActResults(items=tuple(result(delivery_id) for delivery_id in request.delivery_ids))


def _invalid(pointer: str, detail: str) -> RequestInvalid:
    return RequestInvalid(detail, errors=[FieldError(pointer=pointer, code="pause-invalid", detail=detail)])
