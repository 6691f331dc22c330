"""What the registry tells Prometheus: systems that somebody else may be using."""

from services.registry.repository.addresses import count_alarming
from shared.outbox import MessagingFigures, Store
from shared.telemetry.figures import Figures

COUNTED_UP_TO = 1_000


class RegistryFigures:
    """
    Looks up what an operator should hear of.

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
            alarming = await count_alarming(connection, most=COUNTED_UP_TO)
        self._figures.systems_alarming.set(alarming)
        await self._messaging.look()
