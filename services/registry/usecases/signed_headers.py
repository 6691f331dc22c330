"""Calls proved by a signed header: who calls, whether it may from there, and the token it works with."""

from datetime import datetime, timedelta
from uuid import UUID

from services.registry.domain.signed_headers import ReadHeader, read_signed_header
from services.registry.domain.sources import canonical_address, is_named, may_call_from
from services.registry.domain.vault import Unreadable
from services.registry.errors import SignatureRefused, SourceRefused
from services.registry.repository import addresses, versions
from services.registry.repository import credentials as stored
from services.registry.repository.addresses import Place
from services.registry.repository.credentials import StoredCredential
from services.registry.usecases.collaborators import Collaborators
from services.registry.usecases.tokens import mint_token
from shared.contracts.registry import SignedHeader, SystemsChanged, TokenIssued
from shared.telemetry import get_logger

MAX_ADDRESSES = 100
"""Whoever calls from more places than this is alarming already; further ones would only fill the table."""

SEEN_AGAIN_AFTER = timedelta(minutes=10)
"""How old the note of a call may be: a client polls, and each poll need not write."""

_COMPARED = 2
"""Good credentials a system has at most; so many are compared for every caller, there or not."""

_NOBODY = UUID(int=0)

_logger = get_logger(__name__)


async def check_signed_header(its: Collaborators, request: SignedHeader) -> TokenIssued:
    """
    Give the system that signed a header its access token.

    The header's time is not judged: clients of the dialect set it once and keep it for life. What protects against a
    header sent again by somebody else are source ranges, and the alarm about a second address.

    Raises:
        SignatureRefused: No good secret of the system it names has signed it.
        SourceRefused: The system may not call from there.
    """
    header = read_signed_header(request.signed_header, request.hash_header)
    address = canonical_address(request.source)
    now = its.clock.now()
    async with its.store.read() as connection:
        credentials = await stored.find_good_credentials(connection, header.system_id, now)
        place = await addresses.read_place(connection, header.system_id, address)
    credential = _find_signer(its, header, credentials)
    if not may_call_from(address, place.sources):
        _logger.warning("source refused", system_id=credential.system_id, address=address)
        raise SourceRefused("the system may not call from this address")
    if address is not None:
        await _note_address(its, credential.system_id, address, place, now)
    return await _token_for(its, credential, now)


def _find_signer(its: Collaborators, header: ReadHeader, credentials: list[StoredCredential]) -> StoredCredential:
    """Compare the same number of secrets whoever asks, so that the time taken does not tell which systems there are."""
    sealed = [(credential, credential.sealed_secret) for credential in credentials if credential.sealed_secret]
    fitting = [
        credential
        for credential, secret in sealed
        if header.is_signed_with(_unseal(its, credential.id, secret) or its.vault.new_secret())
    ]
    for _ in range(_COMPARED - len(sealed)):
        header.is_signed_with(its.vault.unseal_credential(_NOBODY, its.vault.seal_credential(_NOBODY, "nobody")))
    if not fitting:
        raise SignatureRefused("no secret of such a system fits the signature")
    return fitting[0]


def _unseal(its: Collaborators, credential_id: UUID, sealed: bytes) -> str | None:
    try:
        return its.vault.unseal_credential(credential_id, sealed)
    except Unreadable:
        _logger.exception("secret unreadable", credential_id=str(credential_id))
        return None


async def _note_address(its: Collaborators, system_id: str, address: str, place: Place, now: datetime) -> None:
    if place.last_seen_at is None:
        if place.addresses < MAX_ADDRESSES:
            await _note_new_address(its, system_id, address, place.sources, now)
    elif place.last_seen_at <= now - SEEN_AGAIN_AFTER:
        async with its.store.begin() as uow:
            await addresses.note_again(uow.connection, system_id, address, now)
            await uow.commit()


async def _note_new_address(
    its: Collaborators, system_id: str, address: str, sources: tuple[str, ...], now: datetime
) -> None:
    async with its.store.begin() as uow:
        # Under the lock of the register, so that of two first addresses only one is the first.
        version = await versions.begin_change(uow.connection)
        is_first = not (await addresses.read_place(uow.connection, system_id, address)).addresses
        accepted = is_first or is_named(address, sources)
        is_new = await addresses.add_address(uow.connection, system_id, address, now, accepted=accepted)
        alarming = is_new and not accepted
        if alarming:
            # Nothing in the register changed, so the version stays what it is.
            uow.outbox.add(SystemsChanged(version=version, system_ids=(system_id,), change="second-address"))
        await uow.commit()
    if alarming:
        _logger.warning("system used from a second address", system_id=system_id, address=address)


async def _token_for(its: Collaborators, credential: StoredCredential, now: datetime) -> TokenIssued:
    kept = its.tokens.find(credential.id, now)
    if kept is not None:
        return kept
    issued = await mint_token(its, credential, credential.scopes, now)
    async with its.store.begin() as uow:
        if not await stored.note_use(uow.connection, credential, its.clock.now()):
            raise SignatureRefused("the system was disabled, or the credential was replaced, at this very moment")
        await uow.commit()
    its.tokens.keep(credential.id, issued, now, now + its.settings.access_lifetime)
    return issued
