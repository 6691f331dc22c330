"""The asks that signing answers."""

from collections.abc import Awaitable, Callable
from functools import partial

from services.signing.ports import KeyStore
from services.signing.usecases.certificates import Authority, Offload, issue_certificates, revoke_certificates
from services.signing.usecases.checking import TrustReader, describe_keys, read_health, verify_packets
from services.signing.usecases.statements import sign_statements
from shared.contracts.base import Health, Nothing
from shared.contracts.signing import (
    ISSUE_CERTIFICATES,
    READ_HEALTH,
    READ_KEYS,
    REVOKE_CERTIFICATES,
    SIGN_EVIDENCE,
    SIGN_RECEIPTS,
    SIGN_SNAPSHOTS,
    SIGN_TOKENS,
    SIGN_TREE_HEADS,
    VERIFY_PACKETS,
    IssueCertificates,
    IssuedCertificates,
    Keys,
    PacketReports,
    RevokeCertificates,
    SignStatements,
    Statements,
    VerifyPackets,
)
from shared.jose import ACCESS_TOKEN, EVIDENCE, RECEIPT, SNAPSHOT, TREE_HEAD
from shared.messaging import Bus

_KINDS = {
    SIGN_RECEIPTS: RECEIPT,
    SIGN_EVIDENCE: EVIDENCE,
    SIGN_TOKENS: ACCESS_TOKEN,
    SIGN_SNAPSHOTS: SNAPSHOT,
    SIGN_TREE_HEADS: TREE_HEAD,
}
_AT_ONCE = 4
"""So few statements are signed on the spot: going to a thread and back takes longer."""


def answer_asks(bus: Bus, authority: Authority, keys: KeyStore, offload: Offload) -> None:
    """
    Answer everything that signing is asked.
    """
    trust = TrustReader(authority.store)

    async def verify(request: VerifyPackets) -> PacketReports:
        return await offload(partial(verify_packets, await trust.current(), request))

    async def give_keys(_: Nothing) -> Keys:
        return describe_keys(await trust.current(), keys)

    async def issue(request: IssueCertificates) -> IssuedCertificates:
        return await issue_certificates(authority, request, offload)

    async def revoke(request: RevokeCertificates) -> Nothing:
        try:
            await revoke_certificates(authority, request)
        finally:
            trust.forget()
        return Nothing()

    async def health(_: Nothing) -> Health:
        return await read_health(authority)

    bus.answer(VERIFY_PACKETS, verify)
    bus.answer(READ_KEYS, give_keys)
    bus.answer(ISSUE_CERTIFICATES, issue)
    bus.answer(REVOKE_CERTIFICATES, revoke)
    bus.answer(READ_HEALTH, health)
    for operation, typ in _KINDS.items():
        bus.answer(operation, _signs(keys, typ, offload))


def _signs(keys: KeyStore, typ: str, offload: Offload) -> Callable[[SignStatements], Awaitable[Statements]]:
    async def sign(request: SignStatements) -> Statements:
        if len(request.payloads) <= _AT_ONCE:
            return sign_statements(keys, request, typ)
        return await offload(partial(sign_statements, keys, request, typ))

    return sign
