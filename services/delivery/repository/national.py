"""SQL of what is exchanged with a national axis."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.ext.asyncio import AsyncConnection

from services.delivery.domain.national import Item, MessageType, Sending, Sent, TransferState
from services.delivery.domain.notifications import Health
from services.delivery.tables import national_axes, national_items, national_sendings

PACK = 500


class NationalRepository:
    """
    Reads and writes what is known of one national axis, in one open transaction.

    Args:
        connection: Of the transaction.
        axis: Name the axis is known under here.
    """

    def __init__(self, connection: AsyncConnection, axis: str) -> None:
        self._connection = connection
        self._axis = axis

    # --- health ---

    async def health(self) -> Health:
        row = (await self._connection.execute(self._axes())).one_or_none()
        return Health() if row is None else _health(row)

    async def lock_health(self) -> Health:
        """
        Read how the axis is and keep others from changing it.
        """
        await self._connection.execute(insert_or_skip(national_axes).on_conflict_do_nothing(), {"name": self._axis})
        return _health((await self._connection.execute(self._axes().with_for_update())).one())

    async def set_health(self, health: Health) -> None:
        values = {
            "failures": health.failures,
            "failing_since": health.failing_since,
            "rests_until": health.rests_until,
        }
        await self._connection.execute(update(national_axes).where(national_axes.c.name == self._axis).values(values))

    # --- sendings ---

    async def lock_sending(self, sending: Sending, now: datetime) -> Sent:
        """
        Note a wish, unless it is noted already, and keep others from it.
        """
        row = {
            "axis": self._axis,
            "request_sha256": sending.request_sha256,
            "message_type": sending.message_type.value,
            "sender": sending.sender,
            "addressees": list(sending.addressees),
            "packet_sha256": sending.packet_sha256,
            "lease_until": now,
            "created_at": now,
        }
        await self._connection.execute(insert_or_skip(national_sendings).on_conflict_do_nothing(), row)
        found = select(national_sendings).where(*self._is(sending)).with_for_update()
        noted = (await self._connection.execute(found)).one()
        return Sent(noted.attempts, noted.doc_id, noted.sent_at, noted.lease_until)

    async def lease_sending(self, sending: Sending, until: datetime, *, attempts: int) -> None:
        """
        Keep a wish for ourselves.
        """
        await self._connection.execute(
            update(national_sendings).where(*self._is(sending)).values(lease_until=until, attempts=attempts)
        )

    async def renew_lease(self, sending: Sending, until: datetime) -> None:
        await self._connection.execute(update(national_sendings).where(*self._is(sending)).values(lease_until=until))

    async def record_failure(self, sending: Sending, now: datetime, detail: str) -> None:
        """
        Give a wish back that was not carried out.
        """
        statement = update(national_sendings).where(*self._is(sending), national_sendings.c.doc_id.is_(None))
        await self._connection.execute(statement.values(lease_until=now, last_detail=detail))

    async def record_sent(self, sending: Sending, doc_id: str, now: datetime) -> str:
        """
        Note what the axis calls it, and give the name that was noted first.
        """
        statement = update(national_sendings).where(*self._is(sending), national_sendings.c.doc_id.is_(None))
        await self._connection.execute(statement.values(doc_id=doc_id, sent_at=now, lease_until=now, last_detail=None))
        noted = select(national_sendings.c.doc_id).where(*self._is(sending))
        return str((await self._connection.execute(noted)).scalar_one())

    # --- items ---

    async def item(self, doc_id: str) -> Item | None:
        row = (await self._connection.execute(self._items([doc_id]))).one_or_none()
        return None if row is None else _item(row)

    async def lock_item(self, doc_id: str) -> Item | None:
        """
        Read an item and keep others from changing it.
        """
        row = (await self._connection.execute(self._items([doc_id]).with_for_update())).one_or_none()
        return None if row is None else _item(row)

    async def note_listed(self, items: Iterable[Item], now: datetime) -> None:
        """
        Note items that were not known.
        """
        rows = [
            {
                "axis": self._axis,
                "doc_id": item.doc_id,
                "message_type": item.message_type.value,
                "sender": item.sender,
                "addressee": item.addressee,
                "listed_at": now,
            }
            for item in items
        ]
        for start in range(0, len(rows), PACK):
            statement = insert_or_skip(national_items).values(rows[start : start + PACK]).on_conflict_do_nothing()
            await self._connection.execute(statement)

    async def items(self, doc_ids: Collection[str]) -> dict[str, Item]:
        """
        Read the items that are known, by id.
        """
        wanted, found = list(doc_ids), dict[str, Item]()
        for start in range(0, len(wanted), 10 * PACK):
            rows = await self._connection.execute(self._items(wanted[start : start + 10 * PACK]))
            found |= {row.doc_id: _item(row) for row in rows}
        return found

    async def settle_unlisted(
        self, message_type: MessageType, listed: Collection[str], *, since: datetime, now: datetime
    ) -> None:
        """
        Draw the conclusion from what the axis lists no more: it has heard of our result, or has no use for one.

        Args:
            message_type: What was listed.
            listed: Everything in that list.
            since: The list was asked for then; what was noted later says nothing.
            now: Moment to write.
        """
        of_kind = (
            (national_items.c.axis == self._axis)
            & (national_items.c.message_type == message_type.value)
            & national_items.c.told_at.is_(None)
            & (national_items.c.listed_at < since)
        )
        rows = (await self._connection.execute(select(national_items).where(of_kind))).all()
        gone = [row for row in rows if row.doc_id not in listed]
        told = [row.doc_id for row in gone if row.result is not None and row.decided_at < since]
        unknown = [row.doc_id for row in gone if row.result is None and row.packet_sha256 is None]
        for start in range(0, len(told), PACK):
            chosen = national_items.c.doc_id.in_(told[start : start + PACK])
            await self._connection.execute(update(national_items).where(of_kind, chosen).values(told_at=now))
        for start in range(0, len(unknown), PACK):
            chosen = national_items.c.doc_id.in_(unknown[start : start + PACK])
            idle = national_items.c.packet_sha256.is_(None) & national_items.c.result.is_(None)
            await self._connection.execute(delete(national_items).where(of_kind, chosen, idle))

    async def record_fetched(self, doc_id: str, packet_sha256: str, now: datetime) -> None:
        await self._set_item(doc_id, packet_sha256=packet_sha256, fetched_at=now)

    async def record_result(self, doc_id: str, result: TransferState, description: str, now: datetime) -> None:
        await self._set_item(doc_id, result=result.value, description=description, decided_at=now)

    async def record_told(self, doc_id: str, now: datetime) -> None:
        await self._set_item(doc_id, told_at=now)

    def _axes(self) -> Any:
        return select(national_axes).where(national_axes.c.name == self._axis)

    def _is(self, sending: Sending) -> tuple[Any, Any]:
        columns = national_sendings.c
        return columns.axis == self._axis, columns.request_sha256 == sending.request_sha256

    def _items(self, doc_ids: Collection[str]) -> Any:
        return select(national_items).where(
            national_items.c.axis == self._axis, national_items.c.doc_id.in_(list(doc_ids))
        )

    async def _set_item(self, doc_id: str, **values: Any) -> None:
        one = (national_items.c.axis == self._axis) & (national_items.c.doc_id == doc_id)
        await self._connection.execute(update(national_items).where(one).values(values))


async def delete_old(connection: AsyncConnection, before: datetime) -> int:
    """
    Delete up to 500 sendings and 500 finished items of any axis that are long past.
    """
    items, sendings = national_items.c, national_sendings.c
    old_items = select(items.axis, items.doc_id).where(items.told_at < before).limit(PACK)
    old_sendings = select(sendings.axis, sendings.request_sha256).where(sendings.created_at < before).limit(PACK)
    first = await connection.execute(delete(national_items).where(tuple_(items.axis, items.doc_id).in_(old_items)))
    second = await connection.execute(
        delete(national_sendings).where(tuple_(sendings.axis, sendings.request_sha256).in_(old_sendings))
    )
    return max(first.rowcount, second.rowcount)


def _health(row: Row[Any]) -> Health:
    return Health(row.failures, row.failing_since, row.rests_until)


def _item(row: Row[Any]) -> Item:
    return Item(
        doc_id=row.doc_id,
        message_type=MessageType(row.message_type),
        sender=row.sender,
        addressee=row.addressee,
        packet_sha256=row.packet_sha256,
        result=None if row.result is None else TransferState(row.result),
        description=row.description,
        told_at=row.told_at,
    )
