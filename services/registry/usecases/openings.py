"""The opening of a system, whoever wishes it: an administrator, or a registrar for an integrator."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.registry.domain.key_requests import common_name
from services.registry.repository import credentials as stored_credentials
from services.registry.repository import systems as stored
from services.registry.repository import versions
from services.registry.repository.credentials import StoredCredential
from services.registry.repository.systems import Binding, NewSystem
from services.registry.usecases.collaborators import Collaborators
from shared.contracts.registry import AgencyEntry, IssuedKey, KeyRequest, Role, Scope, SystemsChanged, SystemStatus
from shared.contracts.signing import CertificateRequest
from shared.outbox import UnitOfWork


@dataclass(frozen=True)
class Opening:
    """
    What a system gets.

    Attributes:
        secret_hmac: None: a secret is handed over later.
        sealed_secret: The secret again, encrypted, for a system that signs headers with it.
    """

    system: NewSystem
    agencies: Sequence[AgencyEntry]
    roles: Collection[Role]
    scopes: Sequence[Scope]
    bindings: Sequence[Binding]
    credential_id: UUID
    secret_hmac: bytes | None
    sealed_secret: bytes | None = None


async def issue_bindings(
    its: Collaborators, system_id: str, name: str, keys: Sequence[KeyRequest]
) -> tuple[Binding, ...]:
    """
    Have certificates made for a system. They count for nothing until they are bound, so one made in vain does no harm.
    """
    subject = common_name(name) or system_id
    requests = [
        CertificateRequest(
            csr=key.csr,
            common_name=subject,
            system_id=system_id,
            purpose=key.purpose,
            days=its.settings.certificate_days,
        )
        for key in keys
    ]
    issued = await its.signing.issue_certificates(requests)
    return tuple(
        Binding(one.sha256, key.purpose, one.certificate, one.chain, one.not_before, one.not_after)
        for key, one in zip(keys, issued, strict=True)
    )


def to_issued_keys(bindings: Sequence[Binding]) -> tuple[IssuedKey, ...]:
    """
    Show certificates to their owner.
    """
    return tuple(
        IssuedKey(purpose=binding.purpose, certificate=binding.certificate, chain=binding.chain) for binding in bindings
    )


async def open_system(its: Collaborators, uow: UnitOfWork, opening: Opening) -> tuple[str, ...]:
    """
    Write a system with grants, credential and certificates; the version log must be locked.

    An agency has one receiving system. The first gets the role; it passes on only from a system that is disabled.

    Returns:
        What could not be granted, in words.
    """
    now = its.clock.now()
    warnings: list[str] = []
    others: set[UUID] = set()
    if Role.RECEIVER in opening.roles:
        others = await _settle_receivers(its, uow, opening, warnings)
    version = await versions.advance(uow.connection)
    await stored.add_system(uow.connection, opening.system, version=version, now=now)
    roles = {
        (agency.key, Role.READER if role is Role.RECEIVER and agency.key in others else role)
        for agency in opening.agencies
        for role in opening.roles
    }
    await stored.add_grants(uow.connection, opening.system.id, sorted(roles), now)
    await stored.bind_certificates(uow.connection, opening.system.id, opening.bindings)
    await stored_credentials.add_credential(
        uow.connection,
        StoredCredential(
            id=opening.credential_id,
            system_id=opening.system.id,
            secret_hmac=opening.secret_hmac,
            scopes=tuple(scope.value for scope in opening.scopes),
            in_use=False,
            sealed_secret=opening.sealed_secret,
        ),
        now,
    )
    uow.outbox.add(SystemsChanged(version=version, system_ids=(opening.system.id,), change="added"))
    its.announce(uow, version)
    return tuple(warnings)


async def _settle_receivers(its: Collaborators, uow: UnitOfWork, opening: Opening, warnings: list[str]) -> set[UUID]:
    """Take the role from disabled systems; answer the agencies whose receiver stays another system."""
    others: set[UUID] = set()
    freed: dict[str, set[UUID]] = {}
    for receiver in await stored.find_receivers(uow.connection, [agency.key for agency in opening.agencies]):
        if receiver.status is SystemStatus.DISABLED:
            freed.setdefault(receiver.system_id, set()).add(receiver.agency_key)
        else:
            others.add(receiver.agency_key)
            warnings.append(
                f"{receiver.agency}: {receiver.system_id} đang là hệ thống nhận, nên hệ thống này chỉ gửi và xem"
                f" / {receiver.agency}: {receiver.system_id} is its receiving system, so this one only sends and reads"
            )
    now = its.clock.now()
    for system_id, keys in sorted(freed.items()):
        version = await versions.advance(uow.connection)
        await stored.end_receivers(uow.connection, system_id, keys, now)
        await stored.touch_system(uow.connection, system_id, version=version, now=now)
        uow.outbox.add(SystemsChanged(version=version, system_ids=(system_id,), change="receiver-passed-on"))
    return others
