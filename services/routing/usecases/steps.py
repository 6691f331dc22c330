"""One way for deliveries to take a step: state, history, evidence and event in the caller's transaction."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from services.routing.domain.deliveries import EvidenceFacts, illegal_step
from services.routing.domain.states import NEXT_SERIES, STATES, Cause, is_allowed
from services.routing.repository import deliveries as repository
from services.routing.repository.deliveries import Delivery
from services.routing.usecases.context import Context
from shared.contracts.base import MAX_ITEMS, Lane
from shared.contracts.routing import DeliveriesChanged, DeliveryState, DeliveryStep
from shared.outbox import UnitOfWork


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


async def make_evidence(
    context: Context,
    deliveries: Sequence[Delivery],
    to_state: DeliveryState,
    details: StepDetails,
    *,
    register_codes: Mapping[UUID, str],
) -> dict[UUID, SignedEvidence]:
    """
    Have evidence signed for steps into a final state; no transaction may be open.

    Returns:
        By delivery.
    """
    async with context.store.read() as connection:
        facts = await repository.facts_for_evidence(connection, {delivery.document_id for delivery in deliveries})
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


async def take_step(
    context: Context,
    uow: UnitOfWork,
    deliveries: Sequence[Delivery],
    to_state: DeliveryState,
    cause: Cause,
    details: StepDetails,
    *,
    evidence: Mapping[UUID, SignedEvidence] | None = None,
) -> None:
    """
    Move deliveries that the transaction has locked, all for the same cause; every statement is one for all of them.

    Every step into a state that has evidence needs some, signed beforehand, by delivery.

    Raises:
        IllegalStep: The table of states does not allow it for one of them.
    """
    evidence = evidence or {}
    if not deliveries:
        return
    for delivery in deliveries:
        if not is_allowed(delivery.state, to_state, cause):
            raise illegal_step(delivery.state)
    if STATES[to_state].has_evidence and not evidence.keys() >= {delivery.id for delivery in deliveries}:
        raise ValueError(f"a step into {to_state} needs evidence")
    by_kind: dict[bool, list[Delivery]] = defaultdict(list)
    for delivery in deliveries:
        by_kind[(delivery.state, to_state) in NEXT_SERIES].append(delivery)
    values: dict[str, Any] = {
        "state": to_state.value,
        "held": details.held,
        "reason_code": details.reason_code,
        "reason": details.reason,
        "requeue_possible": details.requeue_possible,
        "changed_at": details.at,
    }
    if to_state is DeliveryState.AVAILABLE:
        values["available_at"] = details.at
    await repository.add_evidence(
        uow.connection,
        [
            {
                "id": evidence[delivery.id].id,
                "delivery_id": delivery.id,
                "document_id": delivery.document_id,
                "series": delivery.series,
                "state": to_state.value,
                "statement": evidence[delivery.id].statement,
                "made_at": evidence[delivery.id].made_at,
            }
            for delivery in deliveries
            if delivery.id in evidence
        ],
    )
    for next_series, members in by_kind.items():
        ids = [delivery.id for delivery in members]
        await repository.move(uow.connection, ids, values, next_series=next_series)
        await note_steps(context, uow, members, to_state, details, evidence=evidence, next_series=next_series)


async def note_steps(
    context: Context,
    uow: UnitOfWork,
    deliveries: Sequence[Delivery],
    to_state: DeliveryState,
    details: StepDetails,
    *,
    evidence: Mapping[UUID, SignedEvidence] | None = None,
    next_series: bool = False,
    opened: bool = False,
) -> None:
    """
    Write steps into the history, publish them, and hint to both sides once they are durable.

    The deliveries are given as they stood before the step; `opened` says it is the first of each, out of no state.
    """
    evidence = evidence or {}
    rows: list[dict[str, Any]] = []
    steps: dict[Lane, list[DeliveryStep]] = defaultdict(list)
    for delivery in deliveries:
        proof = evidence.get(delivery.id)
        series = delivery.series + 1 if next_series else delivery.series
        rows.append(
            {
                "id": context.new_id(),
                "delivery_id": delivery.id,
                "document_id": delivery.document_id,
                "from_state": None if opened else delivery.state.value,
                "to_state": to_state.value,
                "series": series,
                "held": details.held,
                "reason_code": details.reason_code,
                "by": details.by,
                "evidence_id": None if proof is None else proof.id,
                "at": details.at,
            }
        )
        steps[Lane(delivery.lane)].append(
            DeliveryStep(
                delivery_id=delivery.id,
                document_id=delivery.document_id,
                sender_key=delivery.sender_key,
                addressee_key=delivery.addressee_key,
                mailbox_key=delivery.mailbox_key,
                from_state=None if opened else delivery.state,
                to_state=to_state,
                series=series,
                reason_code=details.reason_code,
                evidence_sha256=None if proof is None else proof.sha256,
                lane=Lane(delivery.lane),
                at=details.at,
            )
        )
    await repository.add_steps(uow.connection, rows)
    for lane, items in steps.items():
        for start in range(0, len(items), MAX_ITEMS):
            uow.outbox.add(DeliveriesChanged(items=tuple(items[start : start + MAX_ITEMS])), lane=lane)
    keys = {delivery.mailbox_key for delivery in deliveries} | {delivery.sender_key for delivery in deliveries}
    context.hint_after_commit(uow, keys)
