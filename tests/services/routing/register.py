"""A register that a test can change at will, and the agencies that stand in it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import rfc8785

from shared.contracts.registry import READ_CHANGES, AgencyEntry, Changes, ReadChanges, RegistryBeat, SystemEntry
from shared.contracts.signing import SIGN_SNAPSHOTS, SIGN_TOKENS, SignStatements
from shared.errors import Unavailable
from shared.identifiers import Uuid7Source, agency_key
from shared.messaging import Bus
from shared.testing.pki import MOMENT

URL = "http://127.0.0.1:8443"
NODE = "H43"
NOW = MOMENT
OPENED = date(2018, 1, 1)
SCOPES = "send inbox acknowledge operate"

COMMUNE, DISTRICT, DEPARTMENT, PROVINCE, MINISTRY = "H43.36.01", "H43.36", "H43.19", "H43", "G09"


@dataclass
class HandClock:
    moment: datetime = NOW

    def now(self) -> datetime:
        return self.moment

    def forward(self, **span: float) -> None:
        self.moment += timedelta(**span)


def an_agency(code: str, *, code102: str | None = None, valid_to: datetime | None = None, **values: Any) -> AgencyEntry:
    opened = values.pop("opened", OPENED)
    values = {"name": f"Cơ quan {code}", "level": "commune", "kind": "peoples_committee", "serving_node": NODE} | values
    return AgencyEntry(
        key=agency_key(code, opened),
        code=code,
        code102=code102,
        valid_from=datetime(opened.year, opened.month, opened.day, tzinfo=UTC),
        valid_to=valid_to,
        **values,
    )


@dataclass
class Register:
    """
    Stands in for the registry: signed pages and tokens, changed by the test.
    """

    party: Bus
    clock: HandClock
    new_id: Uuid7Source
    version: int = 0
    agencies: dict[UUID, tuple[int, AgencyEntry]] = field(default_factory=dict)
    systems: dict[str, tuple[int, SystemEntry]] = field(default_factory=dict)
    reads: int = 0
    is_down: bool = False
    says: Callable[[dict[str, Any]], dict[str, Any]] = lambda items: items
    _tokens: dict[tuple[str, str, tuple[str, ...] | None], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.party.answer(READ_CHANGES, self.read_changes)

    def put_agency(self, entry: AgencyEntry) -> AgencyEntry:
        self.version += 1
        self.agencies[entry.key] = (self.version, entry)
        return entry

    def put_system(self, entry: SystemEntry) -> SystemEntry:
        self.version += 1
        self.systems[entry.id] = (self.version, entry)
        return entry

    def code_key(self, code: str) -> UUID:
        return next(key for key, (_, entry) in self.agencies.items() if code == entry.code)

    def beat(self) -> None:
        self.party.hint(RegistryBeat(version=self.version, at=self.clock.now()))

    async def read_changes(self, request: ReadChanges) -> Changes:
        if self.is_down:
            raise Unavailable("the registry is down")
        self.reads += 1
        changed = sorted(
            version
            for version in [*(v for v, _ in self.agencies.values()), *(v for v, _ in self.systems.values())]
            if version > request.after
        )
        last = changed[: request.limit][-1] if changed else self.version
        last = self.version if len(changed) <= request.limit else last
        agencies = tuple(e for v, e in self.agencies.values() if request.after < v <= last)
        systems = tuple(e for v, e in self.systems.values() if request.after < v <= last)
        items = {
            "agencies": [e.model_dump(mode="json") for e in agencies],
            "systems": [e.model_dump(mode="json") for e in systems],
        }
        items = self.says(items)
        claims = {
            "after": request.after,
            "version": last,
            "latest": self.version,
            "time": self.clock.now().isoformat(),
            "items_sha256": hashlib.sha256(rfc8785.dumps(items)).hexdigest(),
        }
        statements = await self.party.ask(SIGN_SNAPSHOTS, SignStatements(payloads=(claims,)))
        return Changes(
            after=request.after,
            version=last,
            latest=self.version,
            agencies=agencies,
            systems=systems,
            statement=statements.items[0],
        )

    async def token(self, system_id: str, scope: str = SCOPES, agencies: tuple[str, ...] | None = None) -> str:
        asked = (system_id, scope, agencies)
        if asked not in self._tokens:
            now = int(self.clock.now().timestamp())
            claims: dict[str, Any] = {
                "iss": URL,
                "aud": "axis",
                "sub": system_id,
                "cid": self.systems[system_id][1].credentials[0],
                "scope": scope,
                "jti": str(self.new_id()),
                "iat": now,
                "exp": now + 600,
            }
            if agencies is not None:
                claims["agencies"] = list(agencies)
            signed = await self.party.ask(SIGN_TOKENS, SignStatements(payloads=(claims,)))
            self._tokens[asked] = signed.items[0]
        return self._tokens[asked]
