"""Registrations of integrators."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.domain.registrations import Registration
from services.registry.tables import credentials, registrations
from shared.contracts.registry import KeyRequest, RegistrationStatus


def _select() -> Select[Any]:
    in_use = credentials.c.first_used_at.is_not(None).label("in_use")
    return select(registrations, in_use).outerjoin(credentials, credentials.c.id == registrations.c.credential_id)


async def add_registration(
    connection: AsyncConnection, registration: Registration, *, idempotency_hmac: bytes | None, request_sha256: str
) -> None:
    """
    Write a registration that waits for its decision.
    """
    await connection.execute(
        insert(registrations).values(
            id=registration.id,
            status=registration.status.value,
            system_id=registration.system_id,
            system_name=registration.system_name,
            contact_name=registration.contact_name,
            contact_email=registration.contact_email,
            agencies=list(registration.agencies),
            keys=[key.model_dump(mode="json") for key in registration.keys],
            claim_hmac=registration.claim_hmac,
            idempotency_hmac=idempotency_hmac,
            request_sha256=request_sha256,
            warnings=list(registration.warnings),
            created_at=registration.created_at,
        )
    )


async def find_same_request(connection: AsyncConnection, idempotency_hmac: bytes) -> tuple[Registration, str] | None:
    """
    Find the registration made under an idempotency key, with the digest of its request.
    """
    statement = _select().where(registrations.c.idempotency_hmac == idempotency_hmac)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else (_to_registration(row), row.request_sha256)


async def find_registration(
    connection: AsyncConnection, registration_id: UUID, *, lock: bool = False
) -> Registration | None:
    """
    Find a registration; locked, nobody else decides about it meanwhile.
    """
    statement = _select().where(registrations.c.id == registration_id)
    if lock:
        statement = statement.with_for_update(of=registrations)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _to_registration(row)


async def list_registrations(
    connection: AsyncConnection, status: RegistrationStatus | None, after: UUID | None, limit: int
) -> list[Registration]:
    """
    Give a page, oldest first: identifiers rise with time.
    """
    statement = _select().order_by(registrations.c.id).limit(limit)
    if status is not None:
        statement = statement.where(registrations.c.status == status.value)
    if after is not None:
        statement = statement.where(registrations.c.id > after)
    return [_to_registration(row) for row in await connection.execute(statement)]


async def is_system_id_asked_for(connection: AsyncConnection, system_id: str) -> bool:
    """
    Tell whether a registration that is not refused asks for this identifier, in any case of letters.
    """
    statement = select(registrations.c.id).where(
        func.lower(registrations.c.system_id) == system_id.lower(),
        registrations.c.status != RegistrationStatus.REFUSED.value,
    )
    return (await connection.execute(statement)).first() is not None


async def count_pending(connection: AsyncConnection, contact_email: str) -> tuple[int, int]:
    """
    Count what waits for a decision: of one contact, and of all.
    """
    of_contact = func.count().filter(func.lower(registrations.c.contact_email) == contact_email.lower())
    statement = select(of_contact, func.count()).where(registrations.c.status == RegistrationStatus.PENDING.value)
    row = (await connection.execute(statement)).one()
    return row[0], row[1]


async def write_decision(connection: AsyncConnection, registration: Registration, decided_by: str) -> None:
    """
    Write what was decided.
    """
    await connection.execute(
        update(registrations)
        .where(registrations.c.id == registration.id)
        .values(
            status=registration.status.value,
            reason=registration.reason,
            warnings=list(registration.warnings),
            credential_id=registration.credential_id,
            decided_at=registration.decided_at,
            decided_by=decided_by,
        )
    )


async def note_hand_over(connection: AsyncConnection, registration_id: UUID, now: datetime) -> None:
    """
    Write that the credential was handed over.
    """
    await connection.execute(
        update(registrations)
        .where(registrations.c.id == registration_id)
        .values(status=RegistrationStatus.HANDED_OVER.value, handed_over_at=now)
    )


def _to_registration(row: Row[Any]) -> Registration:
    return Registration(
        id=row.id,
        status=RegistrationStatus(row.status),
        system_id=row.system_id,
        system_name=row.system_name,
        contact_name=row.contact_name,
        contact_email=row.contact_email,
        agencies=tuple(row.agencies),
        keys=tuple(KeyRequest.model_validate(key) for key in row.keys),
        claim_hmac=row.claim_hmac,
        warnings=tuple(row.warnings),
        reason=row.reason,
        credential_id=row.credential_id,
        in_use=bool(row.in_use),
        created_at=row.created_at,
        decided_at=row.decided_at,
    )
