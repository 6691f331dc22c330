"""Acknowledgement: the receiving system took the packet, or could not. At most one result in each series."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from services.routing.domain.deliveries import REFUSED_BY_ADDRESSEE, RESULT_STATES, Result, check_acknowledgement
from services.routing.domain.register import READING_ROLES, Mandate
from services.routing.domain.states import Cause
from services.routing.errors import AgencyNotYours
from services.routing.repository import AnyRow
from services.routing.repository import deliveries as repository
from services.routing.repository.deliveries import Acknowledgement, Delivery
from services.routing.repository.keys import ADD_KEYS, NewKey, add_keys, key_rows
from services.routing.usecases.access import authorize, not_found
from services.routing.usecases.context import Context
from services.routing.usecases.found import find_delivery
from services.routing.usecases.keys import RequestKey
from services.routing.usecases.steps import (
    SignedEvidence,
    Step,
    StepDetails,
    make_evidence,
    steps_at_once,
    take_steps,
)
from shared.contracts.registry import Role
from shared.contracts.routing import Acknowledge, Acknowledged, DeliveryState
from shared.errors import Rejected, Unavailable
from shared.groups import EachAlone
from shared.telemetry import correlation_id

OPERATION = "acknowledge_delivery"
_CAUSES = {Result.DONE: Cause.ACKNOWLEDGED_DONE, Result.FAIL: Cause.ACKNOWLEDGED_FAIL}


@dataclass(frozen=True)
class _Known:
    """
    A delivery as it stands, and what was said about it in each series.
    """

    delivery: Delivery | None
    earlier: Mapping[int, Acknowledgement]
    facts: Mapping[UUID, AnyRow]


@dataclass(frozen=True)
class _Said:
    """
    What is to be written, evidence included.
    """

    request: Acknowledge
    mandate: Mandate
    delivery: Delivery
    details: StepDetails
    evidence: SignedEvidence
    correlation: str = field(default_factory=correlation_id)

    @property
    def result(self) -> Result:
        return Result(self.request.result)

    def step(self, locked: Delivery) -> Step:
        return Step(
            locked,
            RESULT_STATES[self.result],
            _CAUSES[self.result],
            self.details,
            self.evidence,
            correlation=self.correlation,
        )

    def row(self) -> dict[str, Any]:
        return {
            "delivery_id": self.delivery.id,
            "document_id": self.delivery.document_id,
            "series": self.delivery.series,
            "result": self.result.value,
            "reason": self.request.reason,
            "system_id": self.mandate.system.id,
            "credential_id": self.mandate.credential_id,
            "evidence_id": self.evidence.id,
            "acknowledged_at": self.details.at,
        }

    def as_stored(self) -> Acknowledgement:
        return Acknowledgement(self.delivery.series, self.result.value, self.details.at, self.evidence.statement)


async def acknowledge(context: Context, request: Acknowledge) -> Acknowledged:
    """
    Record a result; with `fail` the sender gets a signed negative status that says a requeue is possible.

    Raises:
        NotFound: It is not in a mailbox of the caller.
        AgencyNotYours: The caller may read the mailbox but is not its receiving system.
        AcknowledgementConflict, NotFetched, IllegalStep: The delivery does not allow it.
        Unavailable: Signing or the database is out of reach.
    """
    mandate = await authorize(context, request.token, "acknowledge")
    result = Result(request.result)
    # 0. Nearly always this is the first word about a fetched delivery: then one look and one statement will do.
    answer = await _acknowledge_at_once(context, mandate, request, result)
    if answer is not None:
        return answer
    # 1. Look without a lock, to refuse or repeat cheaply and to know what is to be signed.
    known = await context.group(_look_up).do(request.delivery_id)
    delivery = check_receiver(mandate, known.delivery)
    stored = await _answer_of_key(context, mandate, request, delivery)
    stored = stored or _stored(delivery, known.earlier.get(delivery.series), result)
    if stored is not None:
        return stored
    # 2. The evidence, while no transaction is open.
    details = _details(context, mandate, request, result)
    codes = {delivery.addressee_key: mandate.register.code_of(delivery.addressee_key)}
    evidence = await make_evidence(
        context, [delivery], RESULT_STATES[result], details, register_codes=codes, facts=known.facts
    )
    said = _Said(request, mandate, delivery, details, evidence[delivery.id])
    # 3. Look again under a lock: somebody may have been faster, and then the first result stands.
    return await context.group(_record).do(said)


async def _acknowledge_at_once(
    context: Context, mandate: Mandate, request: Acknowledge, result: Result
) -> Acknowledged | None:
    """Record a result unless something speaks against it; None when that is to be looked into."""
    found = await find_delivery(context, request.delivery_id)
    delivery = check_receiver(mandate, None if found is None else found.delivery)
    if found is None or delivery.state is not DeliveryState.FETCHED:
        return None
    details = _details(context, mandate, request, result)
    codes = {delivery.addressee_key: mandate.register.code_of(delivery.addressee_key)}
    evidence = await make_evidence(
        context,
        [delivery],
        RESULT_STATES[result],
        details,
        register_codes=codes,
        facts={delivery.document_id: found},
    )
    said = _Said(request, mandate, delivery, details, evidence[delivery.id])
    return _first_answer(said) if await context.group(_record_at_once).do(said) else None


async def _record_at_once(context: Context, group: Sequence[_Said]) -> list[bool | Exception]:
    """
    Write results in one statement. A delivery that was stepped meanwhile, a second result in the group or a key that
    was used before keeps all of it from happening.
    """
    work = steps_at_once(context, [said.step(said.delivery) for said in group])
    rows, keys = _rows(context, group)
    work.add(repository.ADD_ACKNOWLEDGEMENTS, rows)
    work.add(ADD_KEYS, key_rows(keys))
    return [await work.commit()] * len(group)


def _rows(context: Context, group: Sequence[_Said]) -> tuple[list[dict[str, Any]], list[NewKey]]:
    # Made after those of the steps: a journey shows what has one moment in the order of ids.
    rows = [{"id": context.new_id(), **said.row()} for said in group]
    keys = [
        _key(said.mandate, said.request).new(row["id"], said.details.at) for said, row in zip(group, rows, strict=True)
    ]
    return rows, [key for key in keys if key is not None]


async def _look_up(context: Context, delivery_ids: Sequence[UUID]) -> list[_Known | Exception]:
    async with context.store.read() as connection:
        found = await repository.read_deliveries(connection, delivery_ids)
        acknowledged = await repository.read_acknowledgements(connection, found.keys())
        facts = await repository.facts_for_evidence(connection, {delivery.document_id for delivery in found.values()})
    earlier: dict[UUID, dict[int, Acknowledgement]] = defaultdict(dict)
    for (delivery_id, series), one in acknowledged.items():
        earlier[delivery_id][series] = one
    known: list[_Known | Exception] = []
    for delivery_id in delivery_ids:
        delivery = found.get(delivery_id)
        its_facts = {} if delivery is None else {delivery.document_id: facts[delivery.document_id]}
        known.append(_Known(delivery, earlier[delivery_id], its_facts))
    return known


async def _record(context: Context, group: Sequence[_Said]) -> list[Acknowledged | Exception]:
    answers: list[Acknowledged | Exception] = []
    fresh: list[_Said] = []
    steps: list[Step] = []
    async with context.store.begin() as uow:
        ids = {said.delivery.id for said in group}
        locked = await repository.read_deliveries(uow.connection, ids, lock=True)
        earlier = await repository.read_acknowledgements(uow.connection, ids)
        for said in group:
            now = locked[said.delivery.id]
            try:
                stored = _stored(now, earlier.get((now.id, now.series)), said.result)
            except Rejected as refusal:
                answers.append(refusal)
                continue
            if stored is not None:
                answers.append(stored)
            elif now.series != said.delivery.series:
                answers.append(Unavailable("the delivery was queued again at this moment"))
            else:
                fresh.append(said)
                steps.append(said.step(now))
                # Another of the group may say something about the same delivery.
                locked[now.id] = replace(now, state=RESULT_STATES[said.result])
                earlier[now.id, now.series] = said.as_stored()
                answers.append(_first_answer(said))
        if fresh:
            await take_steps(context, uow, steps)
            rows, keys = _rows(context, fresh)
            if not await add_keys(uow.connection, keys):
                raise EachAlone("a copy of this request is being answered at this moment")
            await repository.add_acknowledgements(uow.connection, rows)
            await uow.commit()
    return answers


def _first_answer(said: _Said) -> Acknowledged:
    return Acknowledged(
        created=True,
        delivery_id=said.delivery.id,
        series=said.delivery.series,
        result=said.result.value,
        state=RESULT_STATES[said.result],
        acknowledged_at=said.details.at,
        evidence=said.evidence.statement,
    )


def check_receiver(mandate: Mandate, delivery: Delivery | None) -> Delivery:
    """
    Let only the receiving system of the mailbox pass.

    Raises:
        NotFound: The caller may not even see the delivery.
        AgencyNotYours: It may read, no more.
    """
    if delivery is None or delivery.available_at is None or not mandate.has_role(delivery.mailbox_key, *READING_ROLES):
        raise not_found("văn bản trong hộp thư")
    if not mandate.may(delivery.mailbox_key, Role.RECEIVER):
        code = mandate.register.code_of(delivery.mailbox_key)
        raise AgencyNotYours(
            f"Chỉ hệ thống nhận của {code} được làm việc này. / Only the receiving system of {code} may do this."
        )
    return delivery


def _stored(delivery: Delivery, earlier: Acknowledgement | None, result: Result) -> Acknowledged | None:
    if check_acknowledgement(delivery.state, None if earlier is None else earlier.result, result) or earlier is None:
        return None
    return _repeated(delivery, earlier)


async def _answer_of_key(
    context: Context, mandate: Mandate, request: Acknowledge, delivery: Delivery
) -> Acknowledged | None:
    """Find the answer a copy of this very request got, whatever has become of the delivery since."""
    acknowledgement_id = await _key(mandate, request).look_up(context)
    if acknowledgement_id is None:
        return None
    async with context.store.read() as connection:
        return _repeated(delivery, await repository.read_acknowledgement_by_id(connection, acknowledgement_id))


def _repeated(delivery: Delivery, earlier: Acknowledgement) -> Acknowledged:
    return Acknowledged(
        created=False,
        delivery_id=delivery.id,
        series=earlier.series,
        result=earlier.result,
        state=delivery.state,
        acknowledged_at=earlier.acknowledged_at,
        evidence=earlier.evidence,
    )


def _key(mandate: Mandate, request: Acknowledge) -> RequestKey:
    said = f"{request.delivery_id}\n{request.result}\n{request.reason}"
    return RequestKey(mandate.system.id, request.idempotency_key, OPERATION, said)


def _details(context: Context, mandate: Mandate, request: Acknowledge, result: Result) -> StepDetails:
    failed = result is Result.FAIL
    return StepDetails(
        at=context.clock.now(),
        by=mandate.system.id,
        reason_code=REFUSED_BY_ADDRESSEE if failed else None,
        reason=request.reason or None if failed else None,
        requeue_possible=True if failed else None,
    )
