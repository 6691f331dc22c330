"""Acknowledgement: the receiving system took the packet, or could not. At most one result in each series."""

from services.routing.domain.deliveries import REFUSED_BY_ADDRESSEE, RESULT_STATES, Result, check_acknowledgement
from services.routing.domain.register import READING_ROLES, Mandate
from services.routing.domain.states import Cause
from services.routing.errors import AgencyNotYours
from services.routing.repository import deliveries as repository
from services.routing.repository.deliveries import Acknowledgement, Delivery
from services.routing.usecases.access import authorize, not_found
from services.routing.usecases.context import Context
from services.routing.usecases.keys import RequestKey
from services.routing.usecases.steps import SignedEvidence, StepDetails, make_evidence, take_step
from shared.contracts.registry import Role
from shared.contracts.routing import Acknowledge, Acknowledged, DeliveryState
from shared.errors import Unavailable
from shared.outbox import UnitOfWork

OPERATION = "acknowledge_delivery"
_CAUSES = {Result.DONE: Cause.ACKNOWLEDGED_DONE, Result.FAIL: Cause.ACKNOWLEDGED_FAIL}


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
    # 1. Look without a lock, to refuse or repeat cheaply and to know what is to be signed.
    async with context.store.begin() as uow:
        found = (await repository.read_deliveries(uow.connection, [request.delivery_id])).get(request.delivery_id)
        delivery = check_receiver(mandate, found)
        stored = await _answer_of_key(uow, mandate, request, delivery) or await _stored(uow, delivery, result)
    if stored is not None:
        return stored
    # 2. The evidence, while no transaction is open.
    details = _details(context, mandate, request, result)
    codes = {delivery.addressee_key: mandate.register.code_of(delivery.addressee_key)}
    evidence = await make_evidence(context, [delivery], RESULT_STATES[result], details, register_codes=codes)
    # 3. Look again under a lock: somebody may have been faster, and then the first result stands.
    async with context.store.begin() as uow:
        locked = (await repository.read_deliveries(uow.connection, [delivery.id], lock=True))[delivery.id]
        stored = await _answer_of_key(uow, mandate, request, locked) or await _stored(uow, locked, result)
        if stored is not None:
            return stored
        if locked.series != delivery.series:
            raise Unavailable("the delivery was queued again at this moment")
        await _record(context, uow, mandate, locked, request, details, evidence[delivery.id])
        await uow.commit()
    return Acknowledged(
        created=True,
        delivery_id=delivery.id,
        series=delivery.series,
        result=result.value,
        state=RESULT_STATES[result],
        acknowledged_at=details.at,
        evidence=evidence[delivery.id].statement,
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


async def _stored(uow: UnitOfWork, delivery: Delivery, result: Result) -> Acknowledged | None:
    earlier = await repository.read_acknowledgement(uow.connection, delivery.id, delivery.series)
    if check_acknowledgement(delivery.state, None if earlier is None else earlier.result, result) or earlier is None:
        return None
    return _repeated(delivery, earlier)


async def _answer_of_key(
    uow: UnitOfWork, mandate: Mandate, request: Acknowledge, delivery: Delivery
) -> Acknowledged | None:
    """Find the answer a copy of this very request got, whatever has become of the delivery since."""
    acknowledgement_id = await _key(mandate, request).find(uow.connection)
    if acknowledgement_id is None:
        return None
    return _repeated(delivery, await repository.read_acknowledgement_by_id(uow.connection, acknowledgement_id))


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


async def _record(
    context: Context,
    uow: UnitOfWork,
    mandate: Mandate,
    delivery: Delivery,
    request: Acknowledge,
    details: StepDetails,
    evidence: SignedEvidence,
) -> None:
    result = Result(request.result)
    to_state: DeliveryState = RESULT_STATES[result]
    await take_step(context, uow, [delivery], to_state, _CAUSES[result], details, evidence={delivery.id: evidence})
    acknowledgement_id = context.new_id()
    if not await _key(mandate, request).take(uow.connection, acknowledgement_id, details.at):
        raise Unavailable("a copy of this request is being answered at this moment")
    await repository.add_acknowledgement(
        uow.connection,
        {
            "id": acknowledgement_id,
            "delivery_id": delivery.id,
            "document_id": delivery.document_id,
            "series": delivery.series,
            "result": result.value,
            "reason": request.reason,
            "system_id": mandate.system.id,
            "credential_id": mandate.credential_id,
            "evidence_id": evidence.id,
            "acknowledged_at": details.at,
        },
    )
