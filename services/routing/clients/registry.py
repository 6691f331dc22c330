"""The read model of the register: the registry's signed pages, applied in memory, kept fresh by beats."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from services.routing.domain.register import Register
from shared.clock import Clock
from shared.contracts.base import Nothing
from shared.contracts.registry import READ_CHANGES, Changes, ReadChanges, RegistryBeat
from shared.contracts.signing import READ_KEYS
from shared.errors import Unavailable
from shared.jose import SNAPSHOT, BadStatement, from_jwks, verify_compact
from shared.messaging import Bus
from shared.runtime import ring_or_pass
from shared.telemetry import get_logger

IDLE_SECONDS = 1.0
PAGE = 500

Offload = Callable[..., Awaitable[Any]]

_logger = get_logger(__name__)


class RegisterReader:
    """
    Keeps the newest picture of the register.

    Args:
        bus: To hear beats and to ask for changes and keys.
        clock: To judge how fresh the picture is.
        max_age: Age from which `current` asks before it answers.
        offload: Runs a function off the event loop: checking a page takes longer than a loop may stand still.
    """

    def __init__(self, bus: Bus, clock: Clock, *, max_age: timedelta, offload: Offload) -> None:
        self._bus = bus
        self._clock = clock
        self._max_age = max_age
        self._offload = offload
        self._register = Register()
        self._fresh_at: datetime | None = None
        self._heard = 0
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()
        bus.on_hint(RegistryBeat, self._hear)

    @property
    def is_fresh(self) -> bool:
        """
        Whether a beat or an answer has confirmed the picture lately.
        """
        return self._fresh_at is not None and self._clock.now() - self._fresh_at <= self._max_age

    async def current(self) -> Register:
        """
        Give the picture; ask the registry first where nothing has confirmed it lately.

        Raises:
            Unavailable: It is too old and the registry or the keys to check its answer are out of reach.
        """
        if not self.is_fresh:
            async with self._lock:
                if not self.is_fresh:
                    await self._catch_up()
        return self._register

    async def refresh(self) -> Register:
        """
        Ask the registry now, however fresh the picture is.

        Raises:
            Unavailable: It or the keys are out of reach.
        """
        async with self._lock:
            await self._catch_up()
        return self._register

    async def run(self) -> None:
        """
        Follow the register for ever: at once when a beat names a newer version, and whenever beats stay away.
        """
        while True:
            if self._heard > self._register.version or not self.is_fresh:
                try:
                    await self.refresh()
                except Unavailable as error:
                    _logger.warning("register waits", error=error.detail)
            self._wake.clear()
            await ring_or_pass(self._wake, IDLE_SECONDS)

    def _hear(self, beat: RegistryBeat) -> None:
        self._heard = max(self._heard, beat.version)
        if beat.version > self._register.version:
            self._wake.set()
        elif self._register.version:
            # A beat that was long under way says nothing about now.
            at = min(beat.at, self._clock.now())
            self._fresh_at = at if self._fresh_at is None else max(at, self._fresh_at)

    async def _catch_up(self) -> None:
        while True:
            asked_at = self._clock.now()
            request = ReadChanges(after=self._register.version, limit=PAGE)
            page = await self._bus.ask(READ_CHANGES, request)
            await self._check(page)
            if page.version < page.latest and page.version <= request.after:
                raise Unavailable("the registry's pages do not advance")
            self._register = self._register.with_changes(page.version, page.agencies, page.systems)
            if page.version >= page.latest:
                self._fresh_at = asked_at
                return

    async def _check(self, page: Changes) -> None:
        """Believe a page only if the node's evidence key has signed exactly this one."""
        keys = await self._bus.ask(READ_KEYS, Nothing())

        def check() -> None:
            claims = verify_compact(page.statement, typ=SNAPSHOT, keys=from_jwks(keys.evidence_keys))
            found = (claims.get("after"), claims.get("version"), claims.get("latest"), claims.get("items_sha256"))
            if found != (page.after, page.version, page.latest, page.items_sha256()):
                raise BadStatement("the statement is about another page")

        if page.after != self._register.version or page.version < page.after:
            raise Unavailable("the registry answered with another page than was asked for")
        try:
            await self._offload(check)
        except BadStatement as error:
            raise Unavailable(f"the registry's changes are not signed as they must be: {error}") from error
