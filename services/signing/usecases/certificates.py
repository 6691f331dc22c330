"""Issuing and revoking certificates, and keeping the revocation list current."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from services.signing.domain.authority import (
    SETTLED_REASONS,
    Issuer,
    Order,
    Purpose,
    certificate_sha256,
    certify,
    read_order,
    sign_revocation_list,
    spki_sha256,
)
from services.signing.domain.keys import NodeKey
from services.signing.errors import CertificateRequestInvalid, CertificateUnknown
from services.signing.repository import certificates as repository
from services.signing.repository.certificates import Issued, StoredList
from shared.contracts.signing import (
    CertificateFact,
    CertificatesIssued,
    CertificatesRevoked,
    IssueCertificates,
    IssuedCertificate,
    IssuedCertificates,
    RevokeCertificates,
)
from shared.errors import FieldError
from shared.outbox import Store, UnitOfWork

ResultT = TypeVar("ResultT")


class Offload(Protocol):
    """
    Runs work that would hold up the event loop somewhere else; a test may run it in place.
    """

    def __call__(self, work: Callable[[], ResultT], /) -> Awaitable[ResultT]: ...


@dataclass(frozen=True)
class Authority:
    """
    The development authority at work.

    Attributes:
        store: The service's database.
        issuer: Its key and certificate.
        lasts: How long a revocation list may be used.
    """

    store: Store
    issuer: Issuer
    lasts: timedelta

    @property
    def sha256(self) -> str:
        """
        Digest of the authority's certificate, under which it is kept.
        """
        return certificate_sha256(self.issuer.certificate)


async def enrol(authority: Authority, own: Sequence[NodeKey]) -> None:
    """
    Make the database know the authority and the node's own certificates; repeating it changes nothing.

    Args:
        authority: Becomes a trust anchor, with a first revocation list.
        own: The node's certified keys.
    """
    now = authority.store.clock.now()
    issued = [
        _to_keep(key.certificate, certificate_sha256(key.certificate), "node", Purpose.EVIDENCE)
        for key in own
        if key.certificate is not None
    ]
    async with authority.store.begin() as uow:
        await repository.add_anchor(uow.connection, authority.issuer.certificate, now)
        await repository.claim_keys(uow.connection, {one.spki_sha256: one.system_id for one in issued})
        await repository.add_issued(uow.connection, authority.sha256, issued, now)
        await uow.commit()
    await refresh_revocation_list(authority)


async def issue_certificates(authority: Authority, request: IssueCertificates, offload: Offload) -> IssuedCertificates:
    """
    Issue certificates, all or none; the same request again gets the same certificate.

    Raises:
        CertificateRequestInvalid: Naming every request that was refused.
    """
    orders = await offload(partial(_read_orders, request))
    by_request = {order.request_sha256: order for order in orders}
    async with authority.store.read() as connection:
        known = await repository.read_requested(connection, by_request)
    now = authority.store.clock.now()
    _refuse_spent(orders, known, now)
    missing = [order for digest, order in by_request.items() if digest not in known]
    # Signed before the transaction opens: what is not kept in the end was never shown to anybody.
    fresh = await offload(partial(_certify, authority.issuer, missing, now))
    if fresh:
        async with authority.store.begin() as uow:
            await _keep(uow, authority, orders, fresh, now)
            known = await repository.read_requested(uow.connection, by_request)
            await uow.commit()
    return IssuedCertificates(items=tuple(_to_answer(authority, known[order.request_sha256]) for order in orders))


async def revoke_certificates(authority: Authority, request: RevokeCertificates) -> None:
    """
    Put certificates on the revocation list; those that are on it stay as they are.

    Raises:
        CertificateUnknown: One was not issued here; none is revoked then.
        CertificateRequestInvalid: The reason is none that lasts.
    """
    if request.reason not in SETTLED_REASONS:
        raise CertificateRequestInvalid(f"not a reason for revoking: `{request.reason[:32]}`")
    sha256s = [sha256.lower() for sha256 in request.sha256s]
    async with authority.store.begin() as uow:
        # First the lock: two revocations side by side would each sign a list without the other's certificates.
        current = await repository.lock_list(uow.connection, authority.sha256)
        known = await repository.read_certificates(uow.connection, sha256s)
        unknown = [
            FieldError(pointer=f"/sha256s/{number}", code=CertificateUnknown.code, detail="not issued by this node")
            for number, sha256 in enumerate(sha256s)
            if sha256 not in known
        ]
        if unknown:
            raise CertificateUnknown(f"{len(unknown)} certificates were not issued by this node", errors=unknown)
        now = authority.store.clock.now()
        revoked = await repository.revoke(uow.connection, sha256s, request.reason, now)
        if revoked:
            await _sign_list(uow, authority, current, now)
            uow.outbox.add(CertificatesRevoked(reason=request.reason, sha256s=tuple(sorted(revoked))))
        await uow.commit()


async def refresh_revocation_list(authority: Authority) -> None:
    """
    Sign the next revocation list once half the time of the current one is over.
    """
    async with authority.store.begin() as uow:
        current = await repository.lock_list(uow.connection, authority.sha256)
        now = authority.store.clock.now()
        if current is None or now >= current.next_update_at - authority.lasts / 2:
            await _sign_list(uow, authority, current, now)
            await uow.commit()


async def _sign_list(uow: UnitOfWork, authority: Authority, current: StoredList | None, now: datetime) -> None:
    revoked = await repository.read_revoked(uow.connection, authority.sha256)
    number = 1 if current is None else current.number + 1
    signed = sign_revocation_list(authority.issuer, revoked, number=number, now=now, lasts=authority.lasts)
    pem = signed.public_bytes(Encoding.PEM).decode("ascii")
    stored = StoredList(number, now + authority.lasts, now, pem)
    await repository.put_list(uow.connection, authority.sha256, stored)


def _read_orders(request: IssueCertificates) -> list[Order]:
    orders: list[Order] = []
    refused: list[FieldError] = []
    for number, item in enumerate(request.items):
        try:
            orders.append(read_order(item))
        except CertificateRequestInvalid as error:
            refused.append(_refusal(number, error.detail))
    if refused:
        raise CertificateRequestInvalid(refused[0].detail, errors=refused)
    return orders


def _certify(issuer: Issuer, orders: Sequence[Order], now: datetime) -> list[Issued]:
    return [
        _to_keep(certify(issuer, order, now), order.request_sha256, order.system_id, order.purpose) for order in orders
    ]


def _refuse_spent(orders: Sequence[Order], known: dict[str, Issued], now: datetime) -> None:
    refused = [
        _refusal(number, "this request had a certificate that is no longer good; make a fresh key and request")
        for number, order in enumerate(orders)
        if (before := known.get(order.request_sha256)) is not None
        and (before.revoked_at is not None or before.not_after_at <= now)
    ]
    if refused:
        raise CertificateRequestInvalid(refused[0].detail, errors=refused)


async def _keep(
    uow: UnitOfWork, authority: Authority, orders: Sequence[Order], fresh: Sequence[Issued], now: datetime
) -> None:
    wanted = {spki_sha256(order.public_key): order.system_id for order in orders}
    owners = await repository.claim_keys(uow.connection, wanted)
    refused = [
        _refusal(number, "the key belongs to another system; make a fresh key")
        for number, order in enumerate(orders)
        if owners[spki_sha256(order.public_key)] != order.system_id
    ]
    if refused:
        raise CertificateRequestInvalid(refused[0].detail, errors=refused)
    kept = await repository.add_issued(uow.connection, authority.sha256, fresh, now)
    facts = tuple(
        CertificateFact(sha256=one.sha256, system_id=one.system_id, purpose=one.purpose, not_after=one.not_after_at)
        for one in fresh
        if one.sha256 in kept
    )
    if facts:
        uow.outbox.add(CertificatesIssued(items=facts))


def _refusal(number: int, detail: str) -> FieldError:
    return FieldError(pointer=f"/items/{number}", code=CertificateRequestInvalid.code, detail=detail)


def _to_keep(certificate: x509.Certificate, request_sha256: str, system_id: str, purpose: Purpose) -> Issued:
    public_key = certificate.public_key()
    return Issued(
        sha256=certificate_sha256(certificate),
        request_sha256=request_sha256,
        spki_sha256=spki_sha256(public_key),  # type: ignore[arg-type]  # ours are RSA or P-256 only
        system_id=system_id,
        purpose=purpose.value,
        pem=repository.to_pem(certificate),
        not_before_at=certificate.not_valid_before_utc,
        not_after_at=certificate.not_valid_after_utc,
    )


def _to_answer(authority: Authority, issued: Issued) -> IssuedCertificate:
    return IssuedCertificate(
        certificate=issued.pem,
        chain=(repository.to_pem(authority.issuer.certificate),),
        sha256=issued.sha256,
        not_before=issued.not_before_at,
        not_after=issued.not_after_at,
    )
