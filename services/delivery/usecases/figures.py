"""What delivery tells Prometheus: notifications that wait, and addresses that do not take them."""

from services.delivery.repository.notifications import Repository
from shared.outbox import MessagingFigures, Store
from shared.telemetry.figures import Figures

COUNTED_UP_TO = 1_000


class DeliveryFigures:
    """
    Looks up what could not be delivered yet.

    Args:
        store: The service's database.
        figures: Where what was found is shown.
    """

    def __init__(self, store: Store, figures: Figures) -> None:
        self._store = store
        self._figures = figures
        self._messaging = MessagingFigures(store, figures)

    async def look(self) -> None:
        """
        Look once.
        """
        async with self._store.read() as connection:
            repository = Repository(connection)
            oldest_at = await repository.oldest_pending_at()
            failing = await repository.count_failing(most=COUNTED_UP_TO)
        age = 0.0 if oldest_at is None else (self._store.clock.now() - oldest_at).total_seconds()
        self._figures.notification_oldest.set(max(0.0, age))
        self._figures.endpoints_failing.set(failing)
        await self._messaging.look()
