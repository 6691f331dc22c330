"""One way for deliveries to take a step: state, history, evidence and event in the caller's transaction."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeAlias
from uuid import UUID

from services.routing.domain.deliveries import EvidenceFacts, illegal_step
from services.routing.domain.states import NEXT_SERIES, STATES, Cause, is_allowed
from services.routing.repository import AnyRow
from services.routing.repository import deliveries as repository
from services.routing.repository.deliveries import Delivery, Found
from services.routing.usecases.context import Context
from shared.contracts.base import MAX_ITEMS, Lane
from shared.contracts.routing import DeliveriesChanged, DeliveryState, DeliveryStep
from shared.outbox import UnitOfWork, WorkAtOnce
from shared.telemetry import correlation_id

Alike: TypeAlias = tuple[datetime, str | None, str | None, bool | None, str | None]


@dataclass(frozen=True)
class SignedEvidence:
    """
    Evidence made before the transaction opened, to be stored with the step it is about.
    """

    id: UUID
    statement: str
    made_at: datetime

    @property
    def sha256(self) -> str:
        """
        Digest of the statement, for the journal.
        """
        return sha256(self.statement.encode()).hexdigest()


@dataclass(frozen=True)
class StepDetails:
    """
    What is noted with a step.

    Attributes:
        by: System that caused it; `axis` where nobody outside did.
        reason: Free text; stays in our tables, never in an event.
    """

    at: datetime
    by: str
    reason_code: str | None = None
    reason: str | None = None
    requeue_possible: bool | None = None
    held: str | None = None

    @property
    def alike(self) -> Alike:
        """
        What is written into the delivery itself: steps that share it are written together, whoever caused them.
        """
        return self.at, self.reason_code, self.reason, self.requeue_possible, self.held


async def make_evidence(
    context: Context,
    deliveries: Sequence[Delivery],
    to_state: DeliveryState,
    details: StepDetails,
    *,
    register_codes: Mapping[UUID, str],
    facts: Mapping[UUID, Found] | Mapping[UUID, AnyRow] | None = None,
) -> dict[UUID, SignedEvidence]:
    """
    Have evidence signed for steps into a final state; no transaction may be open. What the documents say is read here
    unless `facts` brings it.

    Returns:
        By delivery.
    """
    if facts is None:
        async with context.store.read() as connection:
            facts = await repository.facts_for_evidence(connection, {one.document_id for one in deliveries})
    ids = {delivery.id: context.new_id() for delivery in deliveries}
    claims = [
        EvidenceFacts(
            evidence_id=ids[delivery.id],
            at=details.at,
            state=to_state,
            document_id=delivery.document_id,
            dispatch_id=delivery.dispatch_id,
            delivery_id=delivery.id,
            series=delivery.series,
            sender=facts[delivery.document_id].sender_code,
            addressee=register_codes[delivery.addressee_key],
            packet_sha256=facts[delivery.document_id].packet_sha256,
            sender_document_id=facts[delivery.document_id].sender_document_id,
            reason_code=details.reason_code,
            requeue_possible=details.requeue_possible,
        ).claims(context.settings.public_url)
        for delivery in deliveries
    ]
    lane = Lane(max(delivery.lane for delivery in deliveries))
    statements = await context.signing.sign_evidence(claims, lane=lane)
    return {
        delivery.id: SignedEvidence(ids[delivery.id], statement, details.at)
        for delivery, statement in zip(deliveries, statements, strict=True)
    }


@dataclass(frozen=True)
class Step:
    """
    One delivery's step, given as the delivery stood before it.

    Attributes:
        evidence: Signed beforehand; every step into a state that has evidence needs some.
        opened: The first step of all, out of no state.
        correlation: Of the request that caused it, since several may be committed together.
    """

    delivery: Delivery
    to_state: DeliveryState
    cause: Cause
    details: StepDetails
    evidence: SignedEvidence | None = None
    opened: bool = False
    correlation: str = field(default_factory=correlation_id)

    @property
    def series(self) -> int:
        """
        The series after the step.
        """
        return self.delivery.series + 1 if self.is_next_series else self.delivery.series

    @property
    def is_next_series(self) -> bool:
        """
        Whether a new series begins with it.
        """
        return not self.opened and (self.delivery.state, self.to_state) in NEXT_SERIES


async def take_steps(context: Context, uow: UnitOfWork, steps: Sequence[Step]) -> None:
    """
    Move deliveries that the transaction has locked; every statement is one for all that move alike.

    Raises:
        IllegalStep: The table of states does not allow it for one of them.
    """
    _check(steps)
    await repository.add_evidence(uow.connection, _evidence_rows(steps))
    alike: dict[tuple[DeliveryState, Alike, bool], list[UUID]] = defaultdict(list)
    for step in steps:
        alike[step.to_state, step.details.alike, step.is_next_series].append(step.delivery.id)
    for (to_state, (at, reason_code, reason, requeue_possible, held), is_next_series), ids in alike.items():
        move = repository.Move(to_state, at, reason_code, reason, requeue_possible, held, next_series=is_next_series)
        await repository.move(uow.connection, ids, move)
    await note_steps(context, uow, steps)


def steps_at_once(context: Context, steps: Sequence[Step]) -> WorkAtOnce:
    """
    Move deliveries that nobody has locked, in one statement together with what else is added to it. It comes to pass
    only if every one of them is still as its step says.

    Raises:
        IllegalStep: The table of states does not allow it for one of them.
    """
    _check(steps)
    work = WorkAtOnce(context.store, repository.MOVE_AT_ONCE, [_move_row(step) for step in steps])
    work.add(repository.ADD_EVIDENCE, _evidence_rows(steps))
    work.add(repository.ADD_STEPS, [_step_row(context, step) for step in steps])
    _publish(context, work, steps)
    return work


async def note_steps(context: Context, uow: UnitOfWork, steps: Sequence[Step]) -> None:
    """
    Write steps into the history, publish them, and hint to both sides once they are durable.
    """
    await repository.add_steps(uow.connection, [_step_row(context, step) for step in steps])
    _publish(context, uow, steps)


def _check(steps: Sequence[Step]) -> None:
    for step in steps:
        if not is_allowed(step.delivery.state, step.to_state, step.cause):
            raise illegal_step(step.delivery.state)
        if STATES[step.to_state].has_evidence and step.evidence is None:
            raise ValueError(f"a step into {step.to_state} needs evidence")


def _publish(context: Context, uow: UnitOfWork | WorkAtOnce, steps: Sequence[Step]) -> None:
    # An event tells of one document only: whoever is shown its leaf in the journal learns nothing of others.
    facts: dict[tuple[int, UUID, str], list[DeliveryStep]] = defaultdict(list)
    for step in steps:
        facts[step.delivery.lane, step.delivery.document_id, step.correlation].append(_fact(step))
    for (lane, _, correlation), items in facts.items():
        for start in range(0, len(items), MAX_ITEMS):
            event = DeliveriesChanged(items=tuple(items[start : start + MAX_ITEMS]))
            uow.outbox.add(event, lane=Lane(lane), correlation=correlation)
    keys = {step.delivery.mailbox_key for step in steps} | {step.delivery.sender_key for step in steps}
    context.hint_after_commit(uow, keys)


def _evidence_rows(steps: Sequence[Step]) -> list[dict[str, Any]]:
    return [
        {
            "id": evidence.id,
            "delivery_id": step.delivery.id,
            "document_id": step.delivery.document_id,
            "series": step.delivery.series,
            "state": step.to_state.value,
            "statement": evidence.statement,
            "made_at": evidence.made_at,
        }
        for step in steps
        if (evidence := step.evidence) is not None
    ]


def _move_row(step: Step) -> dict[str, Any]:
    return {
        "id": step.delivery.id,
        "from_state": step.delivery.state.value,
        "from_series": step.delivery.series,
        "state": step.to_state.value,
        "series": step.series,
        "at": step.details.at,
        "reason_code": step.details.reason_code,
        "reason": step.details.reason,
        "requeue_possible": step.details.requeue_possible,
        "held": step.details.held,
        "available": step.to_state is DeliveryState.AVAILABLE,
    }


def _step_row(context: Context, step: Step) -> dict[str, Any]:
    return {
        "id": context.new_id(),
        "delivery_id": step.delivery.id,
        "document_id": step.delivery.document_id,
        "from_state": None if step.opened else step.delivery.state.value,
        "to_state": step.to_state.value,
        "series": step.series,
        "held": step.details.held,
        "reason_code": step.details.reason_code,
        "by": step.details.by,
        "evidence_id": None if step.evidence is None else step.evidence.id,
        "at": step.details.at,
    }


def _fact(step: Step) -> DeliveryStep:
    delivery = step.delivery
    return DeliveryStep(
        delivery_id=delivery.id,
        document_id=delivery.document_id,
        sender_key=delivery.sender_key,
        addressee_key=delivery.addressee_key,
        mailbox_key=delivery.mailbox_key,
        from_state=None if step.opened else delivery.state,
        to_state=step.to_state,
        series=step.series,
        reason_code=step.details.reason_code,
        evidence_sha256=None if step.evidence is None else step.evidence.sha256,
        lane=Lane(delivery.lane),
        at=step.details.at,
    )
