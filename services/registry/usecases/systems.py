"""Systems, as administrators handle them."""

from datetime import timedelta
from uuid import UUID

from services.registry.domain.key_requests import check_key_requests
from services.registry.domain.pages import read_cursor, write_cursor
from services.registry.domain.sources import read_sources
from services.registry.domain.texts import check_line, check_secret, clean_text
from services.registry.errors import NotFound, SystemIdTaken, SystemInvalid
from services.registry.repository import credentials as stored_credentials
from services.registry.repository import registrations as stored_registrations
from services.registry.repository import systems as stored
from services.registry.repository import versions
from services.registry.repository.addresses import read_accesses
from services.registry.repository.credentials import StoredCredential
from services.registry.repository.systems import NewSystem
from services.registry.usecases.agencies import open_agencies
from services.registry.usecases.collaborators import Collaborators
from services.registry.usecases.openings import Opening, issue_bindings, open_system, to_issued_keys
from shared.contracts.registry import (
    AddSystem,
    Credential,
    ListSystems,
    RevokeCertificate,
    RotateCredential,
    Scope,
    SetSystemStatus,
    SystemEntry,
    SystemPage,
    SystemsChanged,
)
from shared.outbox import UnitOfWork
from shared.tokens import Caller, ScopeMissing

REST = "rest"
VXP = "vxp"
DIALECTS = (REST, VXP)
ADMINISTRATIVE = frozenset({Scope.OPERATE, Scope.REGISTER, Scope.APPROVE})
REASONS = frozenset(
    {"unspecified", "keyCompromise", "affiliationChanged", "superseded", "cessationOfOperation", "privilegeWithdrawn"}
)
"""RFC 5280 section 5.3.1, as far as an operator can know."""


async def add_system(its: Collaborators, request: AddSystem) -> Credential:
    """
    Open a system for an administrator and give its credential, whose secret is shown this once.

    Raises:
        SystemInvalid, CertificateRequestInvalid, AgenciesRefused: What was asked for cannot be.
        SystemIdTaken: Another system, or an open registration, has the identifier.
        ScopeMissing: The caller grants administrative scopes that it does not have itself.
    """
    caller = await its.identify(request.token, Scope.OPERATE)
    _check_scopes(caller, request.scopes)
    if request.dialect not in DIALECTS:
        raise SystemInvalid(f"this node speaks the dialects {', '.join(DIALECTS)}")
    if request.dialect != VXP and (request.secret is not None or request.sources):
        raise SystemInvalid("only a system of dialect vxp brings its secret along and has source ranges")
    check_line("/name", request.name)
    sources = read_sources(request.sources)
    secret = _choose_secret(its, request.secret)
    check_key_requests(request.keys)
    agencies = await open_agencies(its, request.agencies, "/agencies")
    async with its.store.begin() as uow:
        await _refuse_taken(uow, request.system_id)
    bindings = await issue_bindings(its, request.system_id, request.name, request.keys)
    credential_id = its.new_id()
    async with its.store.begin() as uow:
        await versions.begin_change(uow.connection)
        await _refuse_taken(uow, request.system_id)
        opening = Opening(
            system=NewSystem(request.system_id, request.name, request.dialect, sources),
            agencies=agencies,
            roles=frozenset(request.roles),
            scopes=tuple(dict.fromkeys(request.scopes)),
            bindings=bindings,
            credential_id=credential_id,
            secret_hmac=its.vault.digest_credential(credential_id, secret),
            sealed_secret=_seal(its, request.dialect, credential_id, secret),
        )
        warnings = await open_system(its, uow, opening)
        await uow.commit()
    return Credential(
        system_id=request.system_id,
        credential_id=str(credential_id),
        secret=secret,
        scopes=tuple(scope.value for scope in opening.scopes),
        agencies=tuple(agency.code for agency in agencies),
        keys=to_issued_keys(bindings),
        warnings=warnings,
    )


async def list_systems(its: Collaborators, request: ListSystems) -> SystemPage:
    """
    Give a page of systems by identifier.

    Raises:
        CursorInvalid: The cursor is none of ours.
    """
    await its.identify(request.token, Scope.OPERATE)
    after = "" if request.cursor is None else read_cursor(request.cursor, 1)[0]
    async with its.store.read() as connection:
        ids = await stored.list_system_ids(connection, after, request.limit + 1)
        page = ids[: request.limit]
        entries = await stored.read_systems(connection, page, its.clock.now())
        accesses = await read_accesses(connection, page)
    return SystemPage(
        items=tuple(entries[system_id] for system_id in page),
        next_cursor=write_cursor(page[-1]) if len(ids) > request.limit else None,
        accesses=tuple(accesses.values()),
    )


async def rotate_credential(its: Collaborators, request: RotateCredential) -> Credential:
    """
    Give a system a second credential with the same scopes; the former ends after the overlap, and a third one at once.

    Raises:
        NotFound: There is no such system.
        SystemInvalid: The secret brought along cannot be used.
        ScopeMissing: The credential has administrative scopes that the caller does not have itself.
    """
    caller = await its.identify(request.token, Scope.OPERATE)
    system_id = clean_text(request.system_id)
    now = its.clock.now()
    credential_id, secret = its.new_id(), _choose_secret(its, request.secret)
    async with its.store.begin() as uow:
        await versions.begin_change(uow.connection)
        dialect = (await _read(uow, system_id, its)).dialect
        if dialect != VXP and request.secret is not None:
            raise SystemInvalid("only a system of dialect vxp brings its secret along")
        newest = await stored_credentials.find_newest_credential(uow.connection, system_id)
        if newest is None:
            raise NotFound("there is no such system")
        _check_scopes(caller, newest.scopes)
        good = await stored_credentials.find_good_credentials(uow.connection, system_id, now, of_disabled=True)
        await stored_credentials.let_end(uow.connection, [one.id for one in good[1:]], now)
        overlap = timedelta(hours=request.overlap_hours)
        await stored_credentials.let_end(uow.connection, [one.id for one in good[:1]], now + overlap)
        secret_hmac = its.vault.digest_credential(credential_id, secret)
        sealed = _seal(its, dialect, credential_id, secret)
        fresh = StoredCredential(
            credential_id, system_id, secret_hmac, newest.scopes, in_use=False, sealed_secret=sealed
        )
        await stored_credentials.add_credential(uow.connection, fresh, now)
        await _change(its, uow, system_id, "credential-rotated")
        codes = await stored.find_agency_codes(uow.connection, system_id)
        bindings = await stored.find_bindings(uow.connection, system_id)
        await uow.commit()
    return Credential(
        system_id=system_id,
        credential_id=str(credential_id),
        secret=secret,
        scopes=newest.scopes,
        agencies=codes,
        keys=to_issued_keys(bindings),
    )


async def set_system_status(its: Collaborators, request: SetSystemStatus) -> SystemEntry:
    """
    Disable or enable a system; the status it has already changes nothing.

    Raises:
        NotFound: There is no such system.
    """
    await its.identify(request.token, Scope.OPERATE)
    system_id = clean_text(request.system_id)
    async with its.store.begin() as uow:
        await versions.begin_change(uow.connection)
        now = its.clock.now()
        entry = await _read(uow, system_id, its)
        if entry.status is not request.status:
            version = await _change(its, uow, system_id, request.status.value)
            reason = clean_text(request.reason)
            await stored.set_status(uow.connection, system_id, request.status, reason, version=version, now=now)
            await uow.commit()
    return entry.model_copy(update={"status": request.status})


async def revoke_certificate(its: Collaborators, request: RevokeCertificate) -> SystemEntry:
    """
    End a certificate's binding, then have it put on the revocation list; repeating completes what was cut short.

    Raises:
        NotFound: No system has such a certificate.
        SystemInvalid: The reason is not one of RFC 5280.
    """
    await its.identify(request.token, Scope.OPERATE)
    if request.reason not in REASONS:
        raise SystemInvalid(f"the reasons to revoke are {', '.join(sorted(REASONS))}")
    sha256 = clean_text(request.certificate_sha256).lower()
    async with its.store.begin() as uow:
        await versions.begin_change(uow.connection)
        owner = await stored.find_certificate_owner(uow.connection, sha256)
        if owner is None:
            raise NotFound("no system has this certificate")
        system_id, is_revoked = owner
        if not is_revoked:
            await stored.revoke_certificate(uow.connection, sha256, request.reason, its.clock.now())
            await _change(its, uow, system_id, "certificate-revoked")
        entry = await _read(uow, system_id, its)
        await uow.commit()
    await its.signing.revoke_certificate(sha256, request.reason)
    return entry


def _choose_secret(its: Collaborators, given: str | None) -> str:
    if given is None:
        return its.vault.new_secret()
    check_secret(given)
    return given


def _seal(its: Collaborators, dialect: str, credential_id: UUID, secret: str) -> bytes | None:
    """Only who signs headers with a secret makes it necessary to know it again."""
    return its.vault.seal_credential(credential_id, secret) if dialect == VXP else None


async def _refuse_taken(uow: UnitOfWork, system_id: str) -> None:
    if await stored.system_id_taken(uow.connection, system_id):
        raise SystemIdTaken("a system has this identifier; rotate its credential if the secret was lost")
    if await stored_registrations.is_system_id_asked_for(uow.connection, system_id):
        raise SystemIdTaken("a registration asks for this identifier; decide it first")


async def _read(uow: UnitOfWork, system_id: str, its: Collaborators) -> SystemEntry:
    entry = (await stored.read_systems(uow.connection, [system_id], its.clock.now())).get(system_id)
    if entry is None:
        raise NotFound("there is no such system")
    return entry


async def _change(its: Collaborators, uow: UnitOfWork, system_id: str, change: str) -> int:
    version = await versions.advance(uow.connection)
    await stored.touch_system(uow.connection, system_id, version=version, now=its.clock.now())
    uow.outbox.add(SystemsChanged(version=version, system_ids=(system_id,), change=change))
    its.announce(uow, version)
    return version


def _check_scopes(caller: Caller, scopes: tuple[str, ...] | tuple[Scope, ...]) -> None:
    beyond = sorted(ADMINISTRATIVE.intersection(scopes) - caller.scopes)
    if beyond:
        raise ScopeMissing(f"only who has them may grant the scopes {', '.join(beyond)}")
