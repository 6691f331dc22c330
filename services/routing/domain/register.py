"""The register as routing sees it: an unchanging picture of one version, and what a caller may do in it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self, TypeVar
from uuid import UUID

from shared.contracts.registry import AgencyEntry, Role, SystemEntry, SystemStatus

READING_ROLES = (Role.READER, Role.RECEIVER)

_KeyT = TypeVar("_KeyT")
_EntryT = TypeVar("_EntryT")


@dataclass(frozen=True)
class Register:
    """
    Agencies and systems as of one version.

    A change makes a new picture, so that work in hand keeps the one it began with.

    Attributes:
        version: Version of the register.
        agencies: By key.
        systems: By id.
    """

    version: int = 0
    agencies: Mapping[UUID, AgencyEntry] = field(default_factory=dict)
    systems: Mapping[str, SystemEntry] = field(default_factory=dict)
    _codes: Mapping[str, tuple[UUID, ...]] = field(default_factory=dict, repr=False)
    _seals: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    def with_changes(self, version: int, agencies: Iterable[AgencyEntry], systems: Iterable[SystemEntry]) -> Self:
        """
        Give the picture after a page of changes; an entry replaces the one of the same key.
        """
        new_agencies = {entry.key: entry for entry in agencies}
        new_systems = {entry.id: entry for entry in systems}
        return type(self)(
            version,
            {**self.agencies, **new_agencies},
            {**self.systems, **new_systems},
            _reindexed(self._codes, self.agencies, new_agencies, _codes_of),
            _reindexed(self._seals, self.systems, new_systems, _seals_of),
        )

    def find(self, code: str, at: datetime) -> AgencyEntry | None:
        """
        Find the agency that has a code, in either form, and is open at a moment.
        """
        for entry in self.all_with(code):
            if entry.is_open_at(at):
                return entry
        return None

    def all_with(self, code: str) -> tuple[AgencyEntry, ...]:
        """
        Every agency that ever had a code, in either form.
        """
        return tuple(self.agencies[key] for key in self._codes.get(code.strip().upper(), ()))

    def code_of(self, key: UUID) -> str:
        """
        The code of an agency in the new form; the key itself where the register does not know it.
        """
        entry = self.agencies.get(key)
        return str(key) if entry is None else entry.code

    def may_seal(self, certificate_sha256: str, sender_key: UUID, at: datetime) -> bool:
        """
        Tell whether a certificate is bound as a seal to an active system that sends for an agency.
        """
        return any(
            system.status is SystemStatus.ACTIVE
            and Role.SENDER in system.roles.get(sender_key, ())
            and any(
                seal.certificate_sha256 == certificate_sha256 and seal.valid_from <= at < seal.valid_to
                for seal in system.seals
            )
            for system in (self.systems[id_] for id_ in self._seals.get(certificate_sha256, ()))
        )


@dataclass(frozen=True)
class Mandate:
    """
    What a caller may do, as its token and one picture of the register say.

    Attributes:
        system: The caller's system; active.
        credential_id: The credential its token was issued to; still good.
        narrowed_to: Keys the token was narrowed to; None: not narrowed.
        at: The moment agencies must be open at.
    """

    register: Register
    system: SystemEntry
    credential_id: str
    narrowed_to: frozenset[UUID] | None
    at: datetime

    def has_role(self, agency_key: UUID, *roles: Role) -> bool:
        """
        Tell whether the system has one of the roles for an agency that is open, whatever the token was narrowed to.
        """
        entry = self.register.agencies.get(agency_key)
        return (
            entry is not None
            and entry.is_open_at(self.at)
            and not self.system.roles.get(agency_key, frozenset()).isdisjoint(roles)
        )

    def may(self, agency_key: UUID, *roles: Role) -> bool:
        """
        Tell whether the caller may act for an agency in one of the roles.
        """
        inside = self.narrowed_to is None or agency_key in self.narrowed_to
        return inside and self.has_role(agency_key, *roles)

    def agencies(self, *roles: Role) -> tuple[UUID, ...]:
        """
        Keys of the agencies the caller may act for in one of the roles, in a fixed order.
        """
        return tuple(sorted(key for key in self.system.roles if self.may(key, *roles)))


def _reindexed(
    index: Mapping[str, tuple[_KeyT, ...]],
    before: Mapping[_KeyT, _EntryT],
    changed: Mapping[_KeyT, _EntryT],
    words_of: Callable[[_EntryT], set[str]],
) -> Mapping[str, tuple[_KeyT, ...]]:
    """Only what changed is looked at: going through all agencies for each page would hold up the event loop."""
    fresh = dict(index)
    for key, entry in changed.items():
        former = before.get(key)
        old, new = set() if former is None else words_of(former), words_of(entry)
        for word in old - new:
            fresh[word] = tuple(one for one in fresh[word] if one != key)
        for word in new - old:
            fresh[word] = (*fresh.get(word, ()), key)
    return fresh


def _codes_of(agency: AgencyEntry) -> set[str]:
    return {code.upper() for code in (agency.code, agency.code102) if code}


def _seals_of(system: SystemEntry) -> set[str]:
    return {seal.certificate_sha256 for seal in system.seals}
