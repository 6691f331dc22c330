"""Registration by an integrator: asked for, decided by a registrar, handed over."""

import hashlib
from dataclasses import replace
from uuid import UUID

import rfc8785

from services.registry.domain.key_requests import check_key_requests
from services.registry.domain.pages import read_cursor, write_cursor
from services.registry.domain.registrations import Registration
from services.registry.domain.texts import check_line, clean_text
from services.registry.domain.vault import same
from services.registry.errors import (
    AlreadyHandedOver,
    CursorInvalid,
    IdempotencyKeyReused,
    NotFound,
    ReasonMissing,
    RegistrationDecided,
    RegistrationNotApproved,
    SystemIdTaken,
    TooMany,
)
from services.registry.repository import credentials as stored_credentials
from services.registry.repository import registrations as stored
from services.registry.repository import systems as stored_systems
from services.registry.repository import versions
from services.registry.repository.systems import NewSystem
from services.registry.usecases.agencies import open_agencies
from services.registry.usecases.collaborators import Collaborators
from services.registry.usecases.openings import Opening, issue_bindings, open_system, to_issued_keys
from shared.contracts.registry import (
    Credential,
    DecideRegistration,
    ListRegistrations,
    ReadRegistration,
    Register,
    Registered,
    RegistrationPage,
    RegistrationsChanged,
    RegistrationStatus,
    RegistrationView,
    Role,
    Scope,
)
from shared.outbox import UnitOfWork
from shared.tokens import TokenInvalid

MACHINE_SCOPES = (Scope.SEND, Scope.INBOX, Scope.ACKNOWLEDGE)
MAX_REASON = 2_000


async def register_system(its: Collaborators, request: Register) -> Registered:
    """
    Note an integrator's wish. Anybody may call this, so everything about it is bounded.

    The same request under the same idempotency key gets the same answer again.

    Raises:
        CertificateRequestInvalid, AgenciesRefused, SystemInvalid: What was asked for cannot be.
        SystemIdTaken: Another system, or a registration that is not refused, has the identifier.
        TooMany: Too much waits for a decision already.
        IdempotencyKeyReused: The key came with another request.
    """
    contact = request.contact_email.lower()
    key = request.idempotency_key
    key_hmac = None if key is None else its.vault.digest_idempotency_key(contact, key)
    digest = hashlib.sha256(rfc8785.dumps(request.model_dump(mode="json"))).hexdigest()
    async with its.store.begin() as uow:
        if (former := await _answer_again(its, uow, key, key_hmac, digest)) is not None:
            return former
    for name in ("system_name", "contact_name", "contact_email"):
        check_line(f"/{name}", getattr(request, name))
    check_key_requests(request.keys)
    agencies = await open_agencies(its, request.agencies, "/agencies")
    async with its.store.begin() as uow:
        await versions.begin_change(uow.connection)  # so that two at once cannot both be the last one allowed
        if (former := await _answer_again(its, uow, key, key_hmac, digest)) is not None:
            return former
        await _refuse_too_many(its, uow, contact)
        await _refuse_taken(uow, request.system_id)
        registration_id = its.new_id()
        claim_token = its.vault.claim_token(registration_id, key)
        registration = Registration(
            id=registration_id,
            status=RegistrationStatus.PENDING,
            system_id=request.system_id,
            system_name=request.system_name,
            contact_name=request.contact_name,
            contact_email=request.contact_email,
            agencies=tuple(agency.code for agency in agencies),
            keys=request.keys,
            claim_hmac=its.vault.digest_claim(registration_id, claim_token),
            created_at=its.clock.now(),
        )
        await stored.add_registration(uow.connection, registration, idempotency_hmac=key_hmac, request_sha256=digest)
        _publish(uow, registration)
        await uow.commit()
    return Registered(id=registration_id, claim_token=claim_token, status=registration.status)


async def read_registration(its: Collaborators, request: ReadRegistration) -> RegistrationView:
    """
    Show a registration to whoever holds its claim token.

    Raises:
        TokenInvalid: There is no such registration, or the claim token is not its own.
    """
    async with its.store.begin() as uow:
        return (await _claim(its, uow, request)).view()


async def list_registrations(its: Collaborators, request: ListRegistrations) -> RegistrationPage:
    """
    Give a registrar a page of registrations, oldest first.
    """
    await its.identify(request.token, Scope.APPROVE)
    after = None if request.cursor is None else _read_place(request.cursor)
    async with its.store.read() as connection:
        found = await stored.list_registrations(connection, request.status, after, request.limit + 1)
    page = found[: request.limit]
    return RegistrationPage(
        items=tuple(registration.view() for registration in page),
        next_cursor=write_cursor(str(page[-1].id)) if len(found) > request.limit else None,
    )


async def decide_registration(its: Collaborators, request: DecideRegistration) -> RegistrationView:
    """
    Approve or refuse a registration; the same decision again changes nothing.

    Raises:
        NotFound: There is no such registration.
        ReasonMissing: A refusal needs one.
        RegistrationDecided: The opposite was decided before.
        AgenciesRefused: An agency was closed since.
        SystemIdTaken: The identifier was taken since.
    """
    caller = await its.identify(request.token, Scope.APPROVE)
    reason = clean_text(request.reason).strip()[:MAX_REASON]
    if not request.approve and not reason:
        raise ReasonMissing("a refusal needs a reason that the integrator can act on")
    async with its.store.begin() as uow:
        registration = await _find(uow, request.id)
    if registration.status is not RegistrationStatus.PENDING:
        return _decided_before(registration, approve=request.approve)
    if request.approve:
        return await _approve(its, registration, caller.system_id, reason)
    async with its.store.begin() as uow:
        registration = await _find(uow, request.id, lock=True)
        if registration.status is not RegistrationStatus.PENDING:
            return _decided_before(registration, approve=False)
        registration = replace(
            registration, status=RegistrationStatus.REFUSED, reason=reason, decided_at=its.clock.now()
        )
        await stored.write_decision(uow.connection, registration, caller.system_id)
        _publish(uow, registration)
        await uow.commit()
    return registration.view()


async def hand_over_credential(its: Collaborators, request: ReadRegistration) -> Credential:
    """
    Give the integrator credential and certificates; each call makes a fresh secret that replaces the one before.

    Raises:
        TokenInvalid: There is no such registration, or the claim token is not its own.
        RegistrationNotApproved: It waits, or was refused.
        AlreadyHandedOver: The credential has got its first access token.
    """
    async with its.store.begin() as uow:
        registration = await _claim(its, uow, request, lock=True)
        credential_id = registration.credential_id
        if not registration.is_approved or credential_id is None:
            raise RegistrationNotApproved(f"the registration is {registration.status.value}")
        secret = its.vault.new_secret()
        secret_hmac = its.vault.digest_credential(credential_id, secret)
        if not await stored_credentials.replace_secret(uow.connection, credential_id, secret_hmac):
            raise AlreadyHandedOver("the credential is in use and is not shown again")
        codes = await stored_systems.find_agency_codes(uow.connection, registration.system_id)
        bindings = await stored_systems.find_bindings(uow.connection, registration.system_id)
        if registration.status is RegistrationStatus.APPROVED:
            await stored.note_hand_over(uow.connection, registration.id, its.clock.now())
            _publish(uow, replace(registration, status=RegistrationStatus.HANDED_OVER))
        await uow.commit()
    return Credential(
        system_id=registration.system_id,
        credential_id=str(credential_id),
        secret=secret,
        scopes=tuple(scope.value for scope in MACHINE_SCOPES),
        agencies=codes,
        keys=to_issued_keys(bindings),
        warnings=registration.warnings,
    )


async def _answer_again(
    its: Collaborators, uow: UnitOfWork, key: str | None, key_hmac: bytes | None, digest: str
) -> Registered | None:
    if key_hmac is None or (known := await stored.find_same_request(uow.connection, key_hmac)) is None:
        return None
    former, former_digest = known
    if former_digest != digest:
        raise IdempotencyKeyReused("this idempotency key came with another registration before")
    return Registered(id=former.id, claim_token=its.vault.claim_token(former.id, key), status=former.status)


async def _approve(its: Collaborators, registration: Registration, decided_by: str, reason: str) -> RegistrationView:
    # Agencies may have been closed while the registration waited.
    agencies = await open_agencies(its, registration.agencies, "/agencies")
    bindings = await issue_bindings(its, registration.system_id, registration.system_name, registration.keys)
    credential_id = its.new_id()
    async with its.store.begin() as uow:
        await versions.begin_change(uow.connection)
        registration = await _find(uow, registration.id, lock=True)
        if registration.status is not RegistrationStatus.PENDING:
            return _decided_before(registration, approve=True)
        if await stored_systems.system_id_taken(uow.connection, registration.system_id):
            raise SystemIdTaken("a system has taken this identifier since; refuse the registration")
        opening = Opening(
            system=NewSystem(registration.system_id, registration.system_name, "rest"),
            agencies=agencies,
            roles=frozenset(Role),
            scopes=MACHINE_SCOPES,
            bindings=bindings,
            credential_id=credential_id,
            secret_hmac=None,
        )
        warnings = await open_system(its, uow, opening)
        registration = replace(
            registration,
            status=RegistrationStatus.APPROVED,
            reason=reason or None,
            warnings=warnings,
            credential_id=credential_id,
            decided_at=its.clock.now(),
        )
        await stored.write_decision(uow.connection, registration, decided_by)
        _publish(uow, registration)
        await uow.commit()
    return registration.view()


def _decided_before(registration: Registration, *, approve: bool) -> RegistrationView:
    if registration.is_approved is not approve:
        decision = "approved" if registration.is_approved else "refused"
        raise RegistrationDecided(f"the registration was {decision} before")
    return registration.view()


async def _find(uow: UnitOfWork, registration_id: UUID, *, lock: bool = False) -> Registration:
    registration = await stored.find_registration(uow.connection, registration_id, lock=lock)
    if registration is None:
        raise NotFound("there is no such registration")
    return registration


async def _claim(its: Collaborators, uow: UnitOfWork, request: ReadRegistration, *, lock: bool = False) -> Registration:
    registration = await stored.find_registration(uow.connection, request.id, lock=lock)
    digest = its.vault.digest_claim(request.id, request.claim_token)
    # One answer for both, so that a stranger learns nothing about which registrations there are.
    if registration is None or not same(registration.claim_hmac, digest):
        raise TokenInvalid("there is no such registration, or the claim token is not its own")
    return registration


async def _refuse_too_many(its: Collaborators, uow: UnitOfWork, contact: str) -> None:
    of_contact, of_all = await stored.count_pending(uow.connection, contact)
    if of_contact >= its.settings.max_pending_per_contact:
        raise TooMany(f"{of_contact} registrations of this contact wait for a decision")
    if of_all >= its.settings.max_pending:
        raise TooMany("too many registrations wait for a decision; come back later")


async def _refuse_taken(uow: UnitOfWork, system_id: str) -> None:
    if await stored_systems.system_id_taken(uow.connection, system_id):
        raise SystemIdTaken("a system has this identifier")
    if await stored.is_system_id_asked_for(uow.connection, system_id):
        raise SystemIdTaken("another registration asks for this identifier")


def _publish(uow: UnitOfWork, registration: Registration) -> None:
    uow.outbox.add(
        RegistrationsChanged(
            registration_id=registration.id, system_id=registration.system_id, status=registration.status
        )
    )


def _read_place(cursor: str) -> UUID:
    (place,) = read_cursor(cursor, 1)
    try:
        return UUID(place)
    except ValueError as error:
        raise CursorInvalid("this cursor was not given out by the list") from error
