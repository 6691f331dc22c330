"""The consumer's side: poison is counted here and set aside, so that one bad message never stops a queue."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from shared.contracts.base import Event
from shared.errors import Rejected, Unavailable
from shared.messaging import Bus, Item
from shared.messaging.port import EVERY_TOPIC
from shared.outbox.unit_of_work import Store
from shared.telemetry import get_logger

EventT = TypeVar("EventT", bound=Event)

MAX_ATTEMPTS = 5
"""Attempts that *raised*; a restart or something out of reach is not an attempt."""

_logger = get_logger(__name__)


class Consumer:
    """
    Subscribes a service's handlers to events.

    A handler opens its own unit of work, asks `uow.first_time(consumer, item.id)` in it and commits. `Unavailable` has
    the item handed over again uncounted; anything else that is raised counts, and at five the item goes to
    `dead_messages`. A refusal goes there at once: trying again is of no use, and a person must see it.

    Args:
        bus: Where events come from.
        store: The service's database.
    """

    def __init__(self, bus: Bus, store: Store) -> None:
        self._bus = bus
        self._store = store
        self.handlers: dict[str, Callable[[Item], Awaitable[None]]] = {}

    def on(
        self, kind: type[EventT], handler: Callable[[EventT, Item], Awaitable[None]], *, concurrency: int = 16
    ) -> None:
        """
        Handle the events of one topic.
        """

        async def handle(item: Item) -> None:
            await handler(kind.model_validate_json(item.data), item)

        self._add(kind.topic, handle, concurrency)

    def on_everything(self, handler: Callable[[Item], Awaitable[None]], *, concurrency: int = 64) -> None:
        """
        Handle every event as it travels.
        """
        self._add(EVERY_TOPIC, handler, concurrency)

    def _add(self, topic: str, handler: Callable[[Item], Awaitable[None]], concurrency: int) -> None:
        self.handlers[topic] = handler

        async def guarded(item: Item) -> None:
            try:
                await handler(item)
            except Unavailable:
                raise
            except Exception as error:
                if not await self._set_aside(topic, item, error):
                    raise

        self._bus.subscribe(topic, guarded, concurrency=concurrency)

    async def _set_aside(self, consumer: str, item: Item, error: Exception) -> bool:
        """Count the attempt; True when the item has become a dead message and is done with."""
        tables = self._store.tables
        now = self._store.clock.now()
        # The text of an error may quote what was being handled, so only its kind is kept.
        words = f"{type(error).__module__}.{type(error).__qualname__}"
        async with self._store.database.begin() as transaction:
            counted = insert(tables.message_attempts).values(
                consumer=consumer, message_id=item.id, attempts=1, error=words, failed_at=now
            )
            counted = counted.on_conflict_do_update(
                index_elements=["consumer", "message_id"],
                set_={"attempts": tables.message_attempts.c.attempts + 1, "error": words, "failed_at": now},
            )
            attempts = (
                await transaction.connection.execute(counted.returning(tables.message_attempts.c.attempts))
            ).scalar_one()
            dead = attempts >= MAX_ATTEMPTS or isinstance(error, Rejected)
            if dead:
                await transaction.connection.execute(
                    insert(tables.dead_messages)
                    .values(
                        consumer=consumer,
                        message_id=item.id,
                        topic=item.type,
                        source=item.source,
                        lane=int(item.lane),
                        data=item.data,
                        correlation_id=item.correlation_id,
                        created_at=item.time,
                        attempts=attempts,
                        error=words,
                        died_at=now,
                    )
                    .on_conflict_do_nothing()
                )
                await transaction.connection.execute(
                    delete(tables.message_attempts).where(
                        tables.message_attempts.c.consumer == consumer,
                        tables.message_attempts.c.message_id == item.id,
                    )
                )
            await transaction.commit()
        _logger.error(
            "message failed",
            consumer=consumer,
            topic=item.type,
            attempts=attempts,
            dead=dead,
            error=words,
            exc_info=None if isinstance(error, Rejected) else error,
        )
        return dead
