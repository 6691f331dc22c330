"""Dead messages, seen and mended by an operator."""

from collections.abc import Awaitable, Callable

from sqlalchemy import delete, select, update

from shared.contracts.base import Lane
from shared.contracts.dead import ActOnDead, DeadMessage, DeadMessages, DeadResult, ListDead, dead_operations
from shared.errors import Unavailable
from shared.messaging import Bus, Item
from shared.outbox.consumer import Consumer
from shared.outbox.unit_of_work import Store


def answer_dead_messages(
    bus: Bus, store: Store, consumer: Consumer, authorize: Callable[[str], Awaitable[object]]
) -> None:
    """
    Answer the three questions about dead messages for one service.

    Args:
        bus: The service's bus.
        store: Its database.
        consumer: Its handlers; a retry runs the very one that failed.
        authorize: Refuses a token without the scope `operate`.
    """
    operations = dead_operations(store.database.service)
    table = store.tables.dead_messages

    async def list_dead(request: ListDead) -> DeadMessages:
        await authorize(request.token)
        async with store.read() as connection:
            rows = await connection.execute(select(table).order_by(table.c.died_at).limit(request.limit))
            return DeadMessages(
                items=tuple(
                    DeadMessage(
                        message_id=row.message_id,
                        topic=row.topic,
                        attempts=row.attempts,
                        error=row.error,
                        died_at=row.died_at,
                    )
                    for row in rows
                )
            )

    async def retry(request: ActOnDead) -> DeadResult:
        await authorize(request.token)
        async with store.read() as connection:
            rows = (await connection.execute(select(table).where(table.c.message_id.in_(request.message_ids)))).all()
        for row in rows:
            item = Item(
                id=row.message_id,
                type=row.topic,
                source=row.source,
                time=row.created_at,
                data=row.data,
                lane=Lane(row.lane),
                correlation_id=row.correlation_id,
            )
            matches = (table.c.consumer == row.consumer) & (table.c.message_id == row.message_id)
            async with store.database.begin() as transaction:
                # It is tried first and removed after: a crash between the two means one harmless repeat.
                attempts = update(table).where(matches).values(attempts=table.c.attempts + 1)
                await transaction.connection.execute(attempts)
                await transaction.commit()
            try:
                await consumer.handlers[row.consumer](item)
            except Exception as error:
                raise Unavailable(
                    f"message {row.message_id} failed again ({type(error).__name__}); it is kept"
                ) from error
            async with store.database.begin() as transaction:
                await transaction.connection.execute(delete(table).where(matches))
                await transaction.commit()
        return DeadResult(found=len(rows))

    async def drop(request: ActOnDead) -> DeadResult:
        await authorize(request.token)
        async with store.database.begin() as transaction:
            gone = await transaction.connection.execute(
                delete(table).where(table.c.message_id.in_(request.message_ids))
            )
            await transaction.commit()
        return DeadResult(found=gone.rowcount)

    bus.answer(operations.list, list_dead)
    bus.answer(operations.retry, retry)
    bus.answer(operations.drop, drop)
