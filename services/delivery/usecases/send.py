"""The worker: claims what is due, sends it, records what came of it."""

import asyncio
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.delivery.clients.outside import Outside
from services.delivery.clients.registry import Registry
from services.delivery.domain.notifications import (
    Health,
    Notification,
    State,
    Verdict,
    is_last_attempt,
    judge,
    next_attempt,
    read_pause,
    sign,
)
from services.delivery.repository.notifications import Attempted, Claim, Repository
from services.delivery.usecases.finish import end_all, ended_event
from shared.contracts.base import Lane
from shared.contracts.registry import Endpoint, WebhookState
from shared.errors import Unavailable
from shared.outbox import Store
from shared.telemetry import get_logger

ROOM = 32
"""Endpoints served side by side."""

IDLE_SECONDS = 1.0
"""Between two looks while something is pending."""

LONG_IDLE_SECONDS = 5.0
"""Between two looks while nothing is: what this process writes rings, and what others write they send themselves."""

LEASE = timedelta(seconds=60)
"""Longer than any attempt can take; what a dead worker held is free again afterwards."""

RETRY_ASKING = timedelta(seconds=5)

_logger = get_logger(__name__)


@dataclass(frozen=True)
class _Tried:
    notification: Notification
    verdict: Verdict
    detail: str
    status: int | None
    pause: timedelta | None
    refused: bool


class Worker:
    """
    Sends notifications, the most urgent first, a few endpoints side by side.

    Every attempt is sent before it is recorded: a crash between the two means the same notification again, under the
    same `webhook-id`.

    Args:
        store: The service's database.
        registry: Knows URLs and secrets, which are read for each round and never kept.
        outside: The way out.
        disable_after: An endpoint that has only failed for this long is switched off.
        lowest_lane: Less urgent notifications are left to another worker.
        chance: From 0 to 1; spreads attempts.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        outside: Outside,
        *,
        disable_after: timedelta,
        lowest_lane: Lane = Lane.ORDINARY,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._registry = registry
        self._outside = outside
        self._disable_after = disable_after
        self._lowest_lane = lowest_lane
        self._chance = chance
        self._wake = asyncio.Event()
        self._pause = IDLE_SECONDS

    def wake(self) -> None:
        """
        Let the worker look at once.
        """
        self._wake.set()

    async def run(self) -> None:
        """
        Send for ever; an endpoint that is slow keeps nobody else waiting.
        """
        serving: dict[asyncio.Task[None], UUID] = {}
        try:
            while True:
                self._wake.clear()
                for claim in await self._claim(set(serving.values()), ROOM - len(serving)):
                    serving[asyncio.create_task(self._serve_guarded(claim))] = claim.webhook_id
                waking = asyncio.create_task(self._wake.wait())
                try:
                    done, _ = await asyncio.wait(
                        {waking, *serving}, timeout=self._pause, return_when=asyncio.FIRST_COMPLETED
                    )
                finally:
                    waking.cancel()
                for task in [task for task in serving if task in done]:
                    del serving[task]
                    task.exception()  # only a simulated crash gets this far: the lease ends
        finally:
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)

    async def run_once(self) -> int:
        """
        Send what is due now, once.

        Returns:
            How many notifications were taken up.
        """
        claims = await self._claim((), ROOM)
        await asyncio.gather(*(self._serve(claim) for claim in claims))
        return sum(len(claim.notifications) for claim in claims)

    async def _claim(self, busy: Collection[UUID], room: int) -> list[Claim]:
        if room == 0:
            return []
        now = self._store.clock.now()
        async with self._store.read() as connection:
            pending = await Repository(connection).is_anything_pending()
        self._pause = IDLE_SECONDS if pending else LONG_IDLE_SECONDS
        if not pending:  # nearly always
            return []
        async with self._store.begin() as uow:
            claims = await Repository(uow.connection).claim(
                lowest_lane=self._lowest_lane, busy=busy, room=room, now=now, lease_until=now + LEASE
            )
            await uow.commit()
        return claims

    async def _serve_guarded(self, claim: Claim) -> None:
        try:
            await self._serve(claim)
        except Unavailable as error:
            _logger.warning("notifications wait", webhook_id=str(claim.webhook_id), error=error.detail)
        except Exception:  # the lease ends, and they are tried again
            _logger.exception("notifications failed", webhook_id=str(claim.webhook_id))

    async def _serve(self, claim: Claim) -> None:
        try:
            endpoint = (await self._registry.endpoints_named([claim.webhook_id])).get(claim.webhook_id)
        except Unavailable:
            async with self._store.begin() as uow:
                ids = [notification.id for notification in claim.notifications]
                await Repository(uow.connection).release(ids, self._store.clock.now() + RETRY_ASKING)
                await uow.commit()
            raise
        if endpoint is None or endpoint.state is WebhookState.DISABLED:
            await end_all(self._store, claim.webhook_id, State.ENDPOINT_OFF, forget=endpoint is None)
            return
        tried = await asyncio.gather(*(self._try(endpoint, one) for one in claim.notifications))
        off = await self._report(claim, tried)
        await self._record(claim, tried)
        if off:
            await end_all(self._store, claim.webhook_id, State.ENDPOINT_OFF)

    async def _try(self, endpoint: Endpoint, notification: Notification) -> _Tried:
        if notification.is_handshake and endpoint.state is WebhookState.ACTIVE:
            # It agreed, and we died before writing it down.
            return _Tried(notification, Verdict.DONE, "", None, None, refused=False)
        if not notification.is_handshake and endpoint.state is WebhookState.PENDING:
            return _Tried(notification, Verdict.FAILED, "the endpoint has not agreed yet", None, None, refused=True)
        headers = sign(endpoint.secret, str(notification.id), notification.body, self._store.clock.now())
        answer = await self._outside.post(endpoint.url, notification.body, headers, read_body=notification.is_handshake)
        verdict, detail = judge(notification, answer)
        pause = read_pause(answer, self._store.clock.now())
        return _Tried(notification, verdict, detail, answer.status, pause, refused=answer.refused)

    async def _report(self, claim: Claim, tried: Collection[_Tried]) -> bool:
        """Tell the registry what became of the endpoint; True when it is to be called no more."""
        reason = self._reason_to_disable(claim.health, tried)
        if reason is not None:
            await self._registry.set_state(claim.webhook_id, WebhookState.DISABLED, reason)
            return True
        # Without a status nothing was sent: the registry knows already.
        agreed = (one.notification.is_handshake and one.verdict is Verdict.DONE and one.status for one in tried)
        if any(agreed):
            return not await self._registry.set_state(claim.webhook_id, WebhookState.ACTIVE)
        return False

    def _reason_to_disable(self, health: Health, tried: Collection[_Tried]) -> str | None:
        for one in tried:
            if one.verdict is Verdict.GONE:
                return one.detail
            is_last = is_last_attempt(one.notification) or one.refused
            if one.notification.is_handshake and one.verdict is Verdict.FAILED and is_last:
                return f"the handshake failed: {one.detail}"
        if any(one.verdict is Verdict.DONE for one in tried) or health.failing_since is None:
            return None
        if self._store.clock.now() - health.failing_since < self._disable_after:
            return None
        last = next(iter(tried)).detail
        return f"every notification has failed since {health.failing_since:%Y-%m-%d %H:%M} UTC; the last time: {last}"

    async def _record(self, claim: Claim, tried: Collection[_Tried]) -> None:
        now = self._store.clock.now()
        attempted = [self._judge(one, now) for one in tried]
        final = [one for one in attempted if one.state.is_final]
        pauses = [one.pause for one in tried if one.pause is not None]
        async with self._store.begin() as uow:
            repository = Repository(uow.connection)
            health = await repository.lock_health(claim.webhook_id)
            verdicts = [one.verdict for one in tried]
            await repository.set_health(claim.webhook_id, health.after(verdicts, max(pauses, default=None), now))
            await repository.record(attempted, now)
            if final:
                ended = ((one.notification, one.notification.attempts + 1, one.state) for one in final)
                uow.outbox.add(ended_event(ended))
            await uow.commit()

    def _judge(self, tried: _Tried, now: datetime) -> Attempted:
        state, due_at = State.DELIVERED, now
        if tried.verdict is not Verdict.DONE:
            again = None
            if tried.verdict is Verdict.FAILED:
                again = next_attempt(tried.notification, now, pause=tried.pause, chance=self._chance())
            state, due_at = (State.GIVEN_UP, now) if again is None else (State.PENDING, again)
        return Attempted(tried.notification, state, due_at, tried.status, tried.detail)
