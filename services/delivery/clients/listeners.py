"""Who listens: which endpoints want to hear about which agency, kept for as long as the register stands still."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from services.delivery.clients.registry import Registry
from shared.clock import Clock
from shared.contracts.registry import RegistryBeat
from shared.messaging import Bus

MAX_AGE: Final = timedelta(seconds=5)
"""Without a beat for so long, what is remembered is not believed until the next one."""

MAX_REMEMBERED: Final = 100_000

Webhooks = tuple[UUID, ...]


class Listeners:
    """
    Answers from memory where it can: nearly every event concerns agencies that no endpoint listens to.

    Every change of an endpoint's state, a grant or a system gives the register a new version, which the registry tells
    at once and again each second; with it everything remembered is forgotten. An endpoint that has been switched off
    in the meantime gets a notification which the worker then ends.

    Args:
        registry: Asked about agencies nothing is remembered of.
        bus: To hear the beats.
        clock: To judge how long ago the last one was.
    """

    def __init__(self, registry: Registry, bus: Bus, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._version: int | None = None
        self._confirmed_at: datetime | None = None
        self._known: dict[UUID, Webhooks] = {}
        bus.on_hint(RegistryBeat, self._hear)

    async def of(self, agency_keys: Iterable[UUID]) -> Mapping[UUID, Webhooks]:
        """
        Give the active endpoints that want to hear about agencies, by agency.

        Raises:
            Unavailable: The registry had to be asked and is out of reach.
        """
        wanted = set(agency_keys)
        known = self._known if self._is_confirmed() else {}
        unknown = {key for key in wanted if key not in known}
        if not unknown:
            return {key: known[key] for key in wanted}
        version = self._version
        found: dict[UUID, Webhooks] = dict.fromkeys(unknown, ())
        for endpoint in await self._registry.endpoints_of(unknown):
            for key in endpoint.agency_keys:
                found[key] = (*found.get(key, ()), endpoint.webhook_id)
        # What was asked before a change may have been answered before it too.
        if version is not None and version == self._version:
            if len(self._known) + len(found) > MAX_REMEMBERED:
                self._known = {}
            self._known.update(found)
        return {key: found[key] if key in found else known[key] for key in wanted}

    def _is_confirmed(self) -> bool:
        return self._confirmed_at is not None and self._clock.now() - self._confirmed_at <= MAX_AGE

    def _hear(self, beat: RegistryBeat) -> None:
        if beat.version != self._version:
            # Not cleared: an answer under way may still be reading from it.
            self._known = {}
            self._version = beat.version
        # A beat that was long under way says nothing about now.
        at = min(beat.at, self._clock.now())
        self._confirmed_at = at if self._confirmed_at is None else max(at, self._confirmed_at)
