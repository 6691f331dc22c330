"""What every service tells of its messaging tables: the oldest event that has not left, and dead messages."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.outbox.unit_of_work import Store
from shared.telemetry.figures import Figures

COUNTED_UP_TO = 1_000
"""Ages are the symptom; a depth beyond this is only "many", and counting on would read a whole table."""


def _oldest_unsent(schema: str) -> str:
    # One probe of the index per lane: rows of a lane lie in the order they were written.
    return f"""
    SELECT lane.n AS lane, oldest.created_at
    FROM generate_series(0, 4) AS lane(n) CROSS JOIN LATERAL (
        SELECT created_at FROM {schema}.outbox
        WHERE sent_at IS NULL AND lane = lane.n ORDER BY lane DESC, seq LIMIT 1
    ) oldest
    """  # noqa: S608 - the name of a service


def _counts(schema: str) -> str:
    return f"""
    SELECT (SELECT count(*) FROM (
                SELECT FROM {schema}.outbox WHERE sent_at IS NULL ORDER BY lane DESC, seq LIMIT :most) waiting),
           (SELECT count(*) FROM (SELECT FROM {schema}.dead_messages ORDER BY consumer, message_id LIMIT :most) dead)
    """  # noqa: S608 - the name of a service


class MessagingFigures:
    """
    Looks a service's messaging tables up, at a cost that does not grow with them.

    Args:
        store: The service's database.
        figures: Where what was found is shown.
    """

    def __init__(self, store: Store, figures: Figures) -> None:
        self._store = store
        self._figures = figures
        self._service = store.database.service
        self._oldest = text(_oldest_unsent(self._service))
        self._count = text(_counts(self._service))

    async def look(self) -> None:
        """
        Look once.
        """
        async with self._store.read() as connection:
            await self.read(connection)
        self._figures.looked_at.labels(self._service).set_to_current_time()

    async def read(self, connection: AsyncConnection) -> None:
        """
        Run the statements of a look.
        """
        now = self._store.clock.now()
        ages = {row.lane: (now - row.created_at).total_seconds() for row in await connection.execute(self._oldest)}
        for lane in range(5):
            self._figures.outbox_oldest.labels(self._service, str(lane)).set(max(0.0, ages.get(lane, 0.0)))
        waiting, dead = (await connection.execute(self._count, {"most": COUNTED_UP_TO})).one()
        self._figures.outbox_waiting.labels(self._service).set(waiting)
        self._figures.dead_messages.labels(self._service).set(dead)
