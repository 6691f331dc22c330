"""Every SQL statement of signing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.signing.domain.authority import certificate_sha256
from services.signing.tables import certified_keys, issued_certificates, revocation_lists, trust_anchors


@dataclass(frozen=True)
class Issued:
    """
    A certificate of our authority, as kept.

    Attributes:
        request_sha256: Digest of what was asked for; of the certificate itself where nobody asked.
        revoked_at: None while it is good.
    """

    sha256: str
    request_sha256: str
    spki_sha256: str
    system_id: str
    purpose: str
    pem: str
    not_before_at: datetime
    not_after_at: datetime
    revoked_at: datetime | None = None
    revocation_reason: str | None = None

    @property
    def certificate(self) -> x509.Certificate:
        """
        The certificate itself.
        """
        return x509.load_pem_x509_certificate(self.pem.encode())


@dataclass(frozen=True)
class StoredList:
    """
    A revocation list, as kept.
    """

    number: int
    next_update_at: datetime
    this_update_at: datetime
    pem: str


# Built once: they are read again and again.
_ANCHORS = select(trust_anchors.c.pem).order_by(trust_anchors.c.added_at, trust_anchors.c.sha256)
_LISTS = select(revocation_lists.c.pem).order_by(revocation_lists.c.issuer_sha256)


async def add_anchor(connection: AsyncConnection, anchor: x509.Certificate, now: datetime) -> None:
    """
    Trust a root from now on; trusting it again changes nothing.
    """
    row = {"sha256": certificate_sha256(anchor), "pem": to_pem(anchor), "added_at": now}
    await connection.execute(insert(trust_anchors).values(row).on_conflict_do_nothing())


async def read_trust(connection: AsyncConnection) -> tuple[list[str], list[str]]:
    """
    Give the PEM of every root we trust, oldest first, and of every revocation list.
    """
    anchors = list((await connection.execute(_ANCHORS)).scalars())
    return anchors, list((await connection.execute(_LISTS)).scalars())


async def lock_list(connection: AsyncConnection, issuer_sha256: str) -> StoredList | None:
    """
    Give an issuer's revocation list and keep everybody else from making its next one; None if there is none yet.
    """
    await connection.execute(
        select(trust_anchors.c.sha256).where(trust_anchors.c.sha256 == issuer_sha256).with_for_update()
    )
    return await read_list(connection, issuer_sha256)


async def read_list(connection: AsyncConnection, issuer_sha256: str) -> StoredList | None:
    """
    Give an issuer's revocation list; None if there is none yet.
    """
    query = select(revocation_lists).where(revocation_lists.c.issuer_sha256 == issuer_sha256)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else StoredList(row.number, row.next_update_at, row.this_update_at, row.pem)


async def put_list(connection: AsyncConnection, issuer_sha256: str, stored: StoredList) -> None:
    """
    Put a revocation list in the place of the one before it.
    """
    values = {
        "number": stored.number,
        "this_update_at": stored.this_update_at,
        "next_update_at": stored.next_update_at,
        "pem": stored.pem,
    }
    statement = insert(revocation_lists).values(issuer_sha256=issuer_sha256, **values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["issuer_sha256"], set_=values))


async def read_requested(connection: AsyncConnection, request_sha256s: Iterable[str]) -> dict[str, Issued]:
    """
    Give the certificates issued for requests, by digest of the request.
    """
    query = select(issued_certificates).where(issued_certificates.c.request_sha256.in_(list(request_sha256s)))
    return {row.request_sha256: _issued(row) for row in await connection.execute(query)}


async def read_certificates(connection: AsyncConnection, sha256s: Iterable[str]) -> dict[str, Issued]:
    """
    Give issued certificates by digest.
    """
    query = select(issued_certificates).where(issued_certificates.c.sha256.in_(list(sha256s)))
    return {row.sha256: _issued(row) for row in await connection.execute(query)}


async def read_revoked(connection: AsyncConnection, issuer_sha256: str) -> list[tuple[int, datetime, str]]:
    """
    Give serial number, moment and reason of every revoked certificate of an issuer, in the order of revocation.
    """
    query = (
        select(
            issued_certificates.c.serial_number,
            issued_certificates.c.revoked_at,
            issued_certificates.c.revocation_reason,
        )
        .where(issued_certificates.c.issuer_sha256 == issuer_sha256, issued_certificates.c.revoked_at.is_not(None))
        .order_by(issued_certificates.c.revoked_at, issued_certificates.c.sha256)
    )
    return [(int(serial, 16), at, reason) for serial, at, reason in await connection.execute(query)]


async def claim_keys(connection: AsyncConnection, owners: dict[str, str]) -> dict[str, str]:
    """
    Tie public keys to systems, once and for ever.

    Args:
        connection: Of an open transaction.
        owners: System by digest of the public key.

    Returns:
        The system each of the keys really belongs to.
    """
    rows = [{"spki_sha256": key, "system_id": owners[key]} for key in sorted(owners)]
    await connection.execute(insert(certified_keys).values(rows).on_conflict_do_nothing())
    query = select(certified_keys).where(certified_keys.c.spki_sha256.in_(list(owners)))
    return {row.spki_sha256: row.system_id for row in await connection.execute(query)}


async def add_issued(
    connection: AsyncConnection, issuer_sha256: str, issued: Sequence[Issued], now: datetime
) -> set[str]:
    """
    Keep issued certificates; one whose request was answered meanwhile is left out.

    Returns:
        Digests of the certificates kept.
    """
    rows = [
        {
            "sha256": one.sha256,
            "issuer_sha256": issuer_sha256,
            "serial_number": f"{one.certificate.serial_number:x}",
            "request_sha256": one.request_sha256,
            "spki_sha256": one.spki_sha256,
            "system_id": one.system_id,
            "purpose": one.purpose,
            "pem": one.pem,
            "not_before_at": one.not_before_at,
            "not_after_at": one.not_after_at,
            "issued_at": now,
        }
        for one in sorted(issued, key=lambda one: one.request_sha256)
    ]
    if not rows:
        return set()
    statement = insert(issued_certificates).values(rows).on_conflict_do_nothing()
    return set((await connection.execute(statement.returning(issued_certificates.c.sha256))).scalars())


async def revoke(connection: AsyncConnection, sha256s: Iterable[str], reason: str, now: datetime) -> set[str]:
    """
    Mark certificates as revoked; one that is revoked already keeps its moment and reason.

    Returns:
        Digests of those that were good until now.
    """
    statement = (
        update(issued_certificates)
        .where(issued_certificates.c.sha256.in_(list(sha256s)), issued_certificates.c.revoked_at.is_(None))
        .values(revoked_at=now, revocation_reason=reason)
        .returning(issued_certificates.c.sha256)
    )
    return set((await connection.execute(statement)).scalars())


def to_pem(certificate: x509.Certificate) -> str:
    """
    Write a certificate as PEM.
    """
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def _issued(row: object) -> Issued:
    return Issued(**{name: getattr(row, name) for name in Issued.__dataclass_fields__})
