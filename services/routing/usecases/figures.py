"""What routing tells Prometheus: symptoms, looked up every few seconds whether anybody scrapes or not."""

import time
from datetime import datetime
from typing import Final

from services.routing.repository import chunks as chunks_repository
from services.routing.repository import figures as repository
from services.routing.usecases.context import Context
from shared.contracts.base import Lane
from shared.outbox import MessagingFigures
from shared.telemetry.figures import Figures

COUNTED_UP_TO: Final = 1_000
MAILBOX_SECONDS: Final = 60.0
"""Mailboxes are looked at once a minute: that takes a probe for each, and who reads them is a person."""


class RoutingFigures:
    """
    Looks up where lanes, failures and mailboxes stand.

    Args:
        context: Collaborators of this service.
        figures: Where what was found is shown.
    """

    def __init__(self, context: Context, figures: Figures) -> None:
        self._context = context
        self._figures = figures
        self._messaging = MessagingFigures(context.store, figures)
        self._mailboxes_at = float("-inf")

    async def look(self) -> None:
        """
        Look once.
        """
        context, figures = self._context, self._figures
        now = context.clock.now()
        async with context.store.read() as connection:
            lanes = await repository.read_lanes(connection, most=COUNTED_UP_TO)
            paused = await chunks_repository.paused_lanes(connection, now)
            agencies = await chunks_repository.paused_agencies(connection, now)
            failed, failed_at = await repository.read_failed(connection, most=COUNTED_UP_TO)
            held = await repository.count_held(connection, most=COUNTED_UP_TO)
        for lane in Lane:
            found, label = lanes[lane], str(int(lane))
            figures.lane_waiting.labels(label).set(found.waiting)
            figures.lane_outstanding.labels(label).set(found.outstanding)
            figures.lane_oldest.labels(label).set(_age(found.oldest_at, now))
            figures.lane_window_oldest.labels(label).set(_age(found.offered_at, now))
            figures.lane_paused.labels(label).set(lane in paused)
        figures.agencies_paused.set(len(agencies))
        figures.failed.set(failed)
        figures.failed_oldest.set(_age(failed_at, now))
        figures.held.set(held)
        figures.free_bytes.set(await context.blobs.free_bytes())
        if time.monotonic() - self._mailboxes_at >= MAILBOX_SECONDS:
            await self._look_at_mailboxes(now)
            self._mailboxes_at = time.monotonic()
        await self._messaging.look()

    async def _look_at_mailboxes(self, now: datetime) -> None:
        settings = self._context.settings
        async with self._context.store.read() as connection:
            found = await repository.read_mailboxes(
                connection, before=now - settings.late_after, urgent_before=now - settings.urgent_late_after
            )
        for lane in Lane:
            mailboxes, label = found.get(lane), str(int(lane))
            self._figures.mailbox_oldest.labels(label).set(_age(mailboxes.oldest_at if mailboxes else None, now))
            self._figures.mailboxes_late.labels(label).set(mailboxes.late if mailboxes else 0)


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
