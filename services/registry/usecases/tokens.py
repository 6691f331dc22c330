"""Access tokens: the one place where a system's secret or assertion becomes a proof that others can check."""

from datetime import datetime
from typing import Any

from services.registry.domain.assertions import Assertion, read_assertion
from services.registry.domain.vault import same
from services.registry.errors import AgenciesRefused, AgencyNotYours, InvalidClient, InvalidScope
from services.registry.repository import credentials as stored
from services.registry.repository import systems as stored_systems
from services.registry.repository.credentials import StoredCredential
from services.registry.usecases.agencies import open_agencies
from services.registry.usecases.collaborators import Collaborators
from shared.contracts.registry import IssueToken, TokenIssued
from shared.errors import FieldError
from shared.tokens import AUDIENCE

_MAX_CLIENT_ID = 64


async def issue_token(its: Collaborators, request: IssueToken) -> TokenIssued:
    """
    Give a system an access token for its secret, or for an assertion signed with the key of its certificate.

    Raises:
        InvalidClient: The system did not prove who it is, is disabled, or its credential has ended.
        InvalidScope: The credential does not have a scope asked for.
        AgencyNotYours: The token was to be narrowed to an agency that is not the system's.
    """
    now = its.clock.now()
    assertion = None
    if request.client_assertion is not None:
        assertion = read_assertion(request.client_assertion, audience=its.settings.public_url, now=now)
        if request.client_id not in {None, assertion.system_id}:
            raise InvalidClient("the client id is not the subject of the assertion")
    # 1. Who is it?
    if assertion is not None:
        credential = await _check_assertion(its, assertion, now)
    else:
        credential = await _check_secret(its, request.client_id or "", request.client_secret or "", now)
    # 2. What may it have?
    scopes = _choose_scopes(credential, request.scopes)
    agencies = await _choose_agencies(its, credential, request.agencies) if request.agencies else ()
    issued = await mint_token(its, credential, scopes, now, agencies=agencies)
    # 3. Note the use last, with what was checked checked again: an assertion whose answer was lost on the way to
    # signing may come again, and nobody who was disabled meanwhile gets anything.
    await _note_use(its, credential, assertion)
    return issued


async def mint_token(
    its: Collaborators,
    credential: StoredCredential,
    scopes: tuple[str, ...],
    now: datetime,
    *,
    agencies: tuple[str, ...] = (),
) -> TokenIssued:
    """
    Have a token signed for a credential that was checked.

    Args:
        its: The service's collaborators.
        credential: Whose token it is.
        scopes: What it may be used for.
        now: When its life begins.
        agencies: Codes it is narrowed to; none: it is not.
    """
    lifetime = its.settings.access_lifetime
    claims: dict[str, Any] = {
        "iss": its.settings.public_url,
        "aud": AUDIENCE,
        "sub": credential.system_id,
        "cid": str(credential.id),
        "scope": " ".join(scopes),
        "jti": str(its.new_id()),
        "iat": int(now.timestamp()),
        "exp": int((now + lifetime).timestamp()),
    }
    if agencies:
        claims["agencies"] = list(agencies)
    token = await its.signing.sign_token(claims)
    return TokenIssued(access_token=token, expires_in=int(lifetime.total_seconds()), scopes=scopes)


async def _check_secret(its: Collaborators, client_id: str, secret: str, now: datetime) -> StoredCredential:
    if not client_id.isascii() or not client_id.isprintable() or not 0 < len(client_id) <= _MAX_CLIENT_ID:
        raise InvalidClient("the client id is malformed")
    async with its.store.read() as connection:
        credentials = await stored.find_good_credentials(connection, client_id, now)
    # Every credential is compared, so that the time taken does not tell which one is the right one.
    fitting = [
        credential
        for credential in credentials
        if same(credential.secret_hmac, its.vault.digest_credential(credential.id, secret))
    ]
    if not fitting:
        raise InvalidClient("unknown client, wrong secret, ended credential or disabled system")
    return fitting[0]


async def _check_assertion(its: Collaborators, assertion: Assertion, now: datetime) -> StoredCredential:
    async with its.store.read() as connection:
        good = await stored.find_good_credentials(connection, assertion.system_id, now)
        bindings = await stored_systems.find_bindings(connection, assertion.system_id)
        used = await stored.is_assertion_used(connection, assertion.system_id, assertion.jti)
    # One that was never handed over is not in its owner's hands yet, certificates included.
    credentials = [credential for credential in good if credential.secret_hmac is not None]
    bound = [
        binding.certificate
        for binding in bindings
        if binding.purpose == "auth" and binding.valid_from <= now < binding.valid_to
    ]
    if not credentials or not assertion.is_signed_by(bound):
        raise InvalidClient("unknown client, disabled system, or no certificate of the system fits the assertion")
    if used:
        raise InvalidClient("the assertion was used before; make a fresh one with a `jti` of its own")
    return credentials[0]


def _choose_scopes(credential: StoredCredential, asked: tuple[str, ...]) -> tuple[str, ...]:
    if not asked:
        return credential.scopes
    missing = [scope for scope in asked if scope not in credential.scopes]
    if missing:
        raise InvalidScope(f"the credential has only: {' '.join(credential.scopes)}")
    return tuple(scope for scope in credential.scopes if scope in asked)


async def _choose_agencies(its: Collaborators, credential: StoredCredential, asked: tuple[str, ...]) -> tuple[str, ...]:
    try:
        entries = await open_agencies(its, asked, "/agencies")
    except AgenciesRefused as refusal:
        raise AgencyNotYours("the system may not act for these agencies", errors=refusal.errors) from refusal
    async with its.store.read() as connection:
        keys = [entry.key for entry in entries]
        granted = {key for key, _ in await stored_systems.find_roles(connection, credential.system_id, keys)}
    errors = [
        FieldError(pointer="/agencies", code=AgencyNotYours.code, detail=f"the system has no grant for {entry.code}")
        for entry in entries
        if entry.key not in granted
    ]
    if errors:
        raise AgencyNotYours("the system may not act for these agencies", errors=errors)
    return tuple(entry.code for entry in entries)


async def _note_use(its: Collaborators, credential: StoredCredential, assertion: Assertion | None) -> None:
    async with its.store.begin() as uow:
        if assertion is not None:
            taken = await stored.take_assertion(
                uow.connection, assertion.system_id, assertion.jti, assertion.remember_until
            )
            if not taken:
                raise InvalidClient("the assertion was used before; make a fresh one with a `jti` of its own")
        if not await stored.note_use(uow.connection, credential, its.clock.now()):
            raise InvalidClient("the system was disabled, or the credential was replaced, at this very moment")
        await uow.commit()
