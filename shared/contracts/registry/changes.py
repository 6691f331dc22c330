"""The register as the read models of others keep it."""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Self
from uuid import UUID

import rfc8785
from pydantic import Field, ModelWrapValidatorHandler, PrivateAttr, model_validator

from shared.contracts.base import Contract, Health, Hint, Moment, Nothing, Operation
from shared.contracts.registry.terms import Role, SystemStatus


class AgencyEntry(Contract):
    """
    An agency as the read models keep it.

    Attributes:
        key: Immutable internal key.
        code: Identifier, new form.
        code102: Identifier, old form; None where none exists.
        level: `central`, `province`, `district` or `commune`.
        valid_from: First moment of validity.
        valid_to: Exclusive end; None while open.
        serving_node: Node whose mailboxes serve it.
    """

    key: UUID
    code: str
    code102: str | None = None
    name: str
    level: str
    kind: str
    parent: str | None = None
    valid_from: Moment
    valid_to: Moment | None = None
    serving_node: str

    def is_open_at(self, moment: Moment) -> bool:
        """
        Tell whether the agency is valid at a moment.
        """
        return self.valid_from <= moment and (self.valid_to is None or moment < self.valid_to)


class Grant(Contract):
    """
    A system may act for an agency in a role.
    """

    agency_key: UUID
    role: Role


class SealBinding(Contract):
    """
    A certificate whose signatures count as seals of a system.
    """

    certificate_sha256: str
    valid_from: Moment
    valid_to: Moment


class SystemEntry(Contract):
    """
    A system as the read models keep it; any change replaces the whole entry.

    Attributes:
        credentials: Identifiers of the credentials that are still good.
        seals: Certificates bound for `seal`, those revoked left out.
    """

    id: str
    name: str
    dialect: str
    status: SystemStatus
    grants: tuple[Grant, ...]
    credentials: tuple[str, ...]
    seals: tuple[SealBinding, ...]

    @cached_property
    def roles(self) -> Mapping[UUID, frozenset[Role]]:
        """
        The roles it has, by the agency's key; a system may act for thousands of agencies.
        """
        found: dict[UUID, set[Role]] = {}
        for grant in self.grants:
            found.setdefault(grant.agency_key, set()).add(grant.role)
        return {key: frozenset(roles) for key, roles in found.items()}


class ReadChanges(Contract):
    """
    Everything that changed after a version; from 0 it is the snapshot.
    """

    after: int = Field(ge=0)
    limit: int = Field(default=500, ge=1, le=500)


_ITEMS = ("agencies", "systems")


class Changes(Contract):
    """
    A page of the register, signed.

    Attributes:
        after: Version asked for.
        version: Version the reader stands at once it has applied this page.
        latest: Newest version there is; more pages follow while `version < latest`.
        statement: Compact JWS `axis-snapshot` over `after`, `version`, `latest`, `time` and `items_sha256`, the hex
            digest of the RFC 8785 form of `{"agencies": […], "systems": […]}`; empty until it is signed.
    """

    after: int
    version: int
    latest: int
    agencies: tuple[AgencyEntry, ...]
    systems: tuple[SystemEntry, ...]
    statement: str = ""
    _came_as: dict[str, Any] | None = PrivateAttr(default=None)

    @model_validator(mode="wrap")
    @classmethod
    def _keep_what_came(cls, data: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        """Another release may have signed fields that this one does not know, or has not known some of ours."""
        made = validate(data)
        if isinstance(data, dict) and all(isinstance(one, dict) for name in _ITEMS for one in data.get(name, ())):
            made._came_as = {name: data[name] for name in _ITEMS}  # noqa: SLF001 - its own
        return made

    def items_sha256(self) -> str:
        """
        Digest what the page carries, as it came. Takes milliseconds for a full one, so it belongs off the event loop.
        """
        items = self._came_as or self.model_dump(mode="json", include=set(_ITEMS))
        return hashlib.sha256(rfc8785.dumps(items)).hexdigest()


class RegistryBeat(Hint):
    """
    Each second: the register stands at this version.
    """

    topic: ClassVar[str] = "registry.beat"
    version: int
    at: Moment


READ_CHANGES = Operation("registry.read_changes", ReadChanges, Changes)
READ_HEALTH = Operation("registry.read_health", Nothing, Health)
