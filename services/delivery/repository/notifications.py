"""SQL of notifications and of the health of their endpoints."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, or_, select, true, update
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.ext.asyncio import AsyncConnection

from services.delivery.domain.notifications import Health, Notification, State
from services.delivery.tables import endpoints, notifications
from shared.contracts.base import Lane

PACK = 500

_IS_ANYTHING_PENDING = sql("SELECT EXISTS (SELECT FROM delivery.notifications WHERE state = 'pending')")


@dataclass(frozen=True)
class Claim:
    """
    Notifications of one endpoint that are ours until the lease ends.
    """

    webhook_id: UUID
    health: Health
    notifications: tuple[Notification, ...]


@dataclass(frozen=True)
class Attempted:
    """
    How an attempt left a notification.

    Attributes:
        state: Pending with a moment for the next attempt, or final.
        due_at: Moment of the next attempt; of no meaning in a final state.
    """

    notification: Notification
    state: State
    due_at: datetime
    status: int | None
    detail: str


class Repository:
    """
    Reads and writes notifications in one open transaction.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def oldest_pending_at(self) -> datetime | None:
        """
        Tell when the oldest notification that is not delivered yet was made.
        """
        pending = select(notifications.c.created_at).where(notifications.c.state == State.PENDING.value)
        oldest = pending.order_by(notifications.c.created_at).limit(1)
        found: datetime | None = (await self._connection.execute(oldest)).scalar_one_or_none()
        return found

    async def is_anything_pending(self) -> bool:
        """
        Tell whether any notification waits for an attempt, due or not.
        """
        return bool((await self._connection.execute(_IS_ANYTHING_PENDING)).scalar_one())

    async def count_failing(self, *, most: int) -> int:
        """
        Count the endpoints that fail, up to a limit.
        """
        failing = select(endpoints.c.webhook_id).where(endpoints.c.failing_since.is_not(None)).limit(most)
        return int((await self._connection.execute(select(func.count()).select_from(failing.subquery()))).scalar_one())

    async def add(self, new: Sequence[Notification]) -> None:
        """
        Add notifications that are due at once; those that are there already stay as they are.
        """
        webhook_ids = {notification.webhook_id for notification in new}
        known = insert_or_skip(endpoints).on_conflict_do_nothing()
        await self._connection.execute(known, [{"webhook_id": webhook_id} for webhook_id in sorted(webhook_ids)])
        await self._connection.execute(
            insert_or_skip(notifications).on_conflict_do_nothing(),
            [
                {
                    "id": notification.id,
                    "webhook_id": notification.webhook_id,
                    "event_id": notification.event_id,
                    "type": notification.type,
                    "subject": notification.subject,
                    "lane": int(notification.lane),
                    "body": notification.body,
                    "state": State.PENDING,
                    "created_at": notification.created_at,
                    "due_at": notification.created_at,
                }
                for notification in new
            ],
        )

    async def claim(
        self, *, lowest_lane: Lane, busy: Collection[UUID], room: int, now: datetime, lease_until: datetime
    ) -> list[Claim]:
        """
        Take what is due, the most urgent endpoints first, and keep others from it until the lease ends.

        Args:
            lowest_lane: Less urgent notifications are left alone.
            busy: Endpoints to leave alone.
            room: Endpoints taken at most.
            now: Due is what is due by now.
            lease_until: When it may be claimed again, should nothing be heard of us.
        """
        is_due = (
            (notifications.c.state == State.PENDING)
            & (notifications.c.due_at <= now)
            & (notifications.c.lane >= int(lowest_lane))
        )
        urgency = (notifications.c.lane.desc(), notifications.c.due_at)
        first_due = (
            select(notifications.c.lane, notifications.c.due_at)
            .where(notifications.c.webhook_id == endpoints.c.webhook_id, is_due)
            .order_by(*urgency)
            .limit(1)
            .lateral("first_due")
        )
        chosen = await self._connection.execute(
            select(endpoints)
            .join(first_due, true())
            .where(
                or_(endpoints.c.rests_until.is_(None), endpoints.c.rests_until <= now),
                endpoints.c.webhook_id.not_in(busy),
            )
            .order_by(first_due.c.lane.desc(), first_due.c.due_at)
            .limit(room)
            .with_for_update(of=endpoints, skip_locked=True)
        )
        claims = []
        for row in chosen.all():
            health = _health(row)
            # A CTE is run once; a plain subquery with a limit and locks could be run again for every row.
            chosen_ids = (
                select(notifications.c.id)
                .where(notifications.c.webhook_id == row.webhook_id, is_due)
                .order_by(*urgency)
                .limit(health.at_once())
                .with_for_update(skip_locked=True)
                .cte("chosen")
            )
            taken = (
                update(notifications)
                .where(notifications.c.id.in_(select(chosen_ids.c.id)))
                .values(due_at=lease_until)
                .returning(notifications)
            )
            rows = (await self._connection.execute(taken)).all()
            if health.is_failing:
                # One probe at a time: the others look again once it has answered, or died.
                await self._write_health(row.webhook_id, rests_until=lease_until)
            claims.append(Claim(row.webhook_id, health, tuple(_notification(row) for row in rows)))
        return claims

    async def release(self, ids: Collection[UUID], due_at: datetime) -> None:
        """
        Give claimed notifications back untried.
        """
        statement = update(notifications).where(notifications.c.id.in_(ids), notifications.c.state == State.PENDING)
        await self._connection.execute(statement.values(due_at=due_at))

    async def lock_health(self, webhook_id: UUID) -> Health:
        """
        Read what is known about an endpoint and keep others from changing it.
        """
        statement = select(endpoints).where(endpoints.c.webhook_id == webhook_id).with_for_update()
        row = (await self._connection.execute(statement)).one_or_none()
        return Health() if row is None else _health(row)

    async def set_health(self, webhook_id: UUID, health: Health) -> None:
        await self._write_health(
            webhook_id, failures=health.failures, failing_since=health.failing_since, rests_until=health.rests_until
        )

    async def record(self, attempted: Sequence[Attempted], at: datetime) -> None:
        """
        Write how attempts ended; a notification that ended otherwise meanwhile stays ended.
        """
        for one in attempted:
            await self._connection.execute(
                update(notifications)
                .where(notifications.c.id == one.notification.id, notifications.c.state == State.PENDING)
                .values(
                    state=one.state,
                    attempts=one.notification.attempts + 1,
                    due_at=one.due_at,
                    last_status=one.status,
                    last_detail=one.detail,
                    ended_at=at if one.state.is_final else None,
                )
            )

    async def end_pending(
        self,
        state: State,
        at: datetime,
        *,
        webhook_id: UUID | None = None,
        created_before: datetime | None = None,
    ) -> list[Notification]:
        """
        End up to 500 notifications without an attempt: those of an endpoint, or those that are too old.

        Args:
            state: The state they end in.
            at: Now.
            webhook_id: Only those of this endpoint.
            created_before: Only those that are older.
        """
        chosen = select(notifications.c.id).where(notifications.c.state == State.PENDING)
        if webhook_id is not None:
            chosen = chosen.where(notifications.c.webhook_id == webhook_id)
        if created_before is not None:
            chosen = chosen.where(notifications.c.created_at < created_before)
        ids = chosen.limit(PACK).with_for_update(skip_locked=True).cte("chosen")
        ended = (
            update(notifications)
            .where(notifications.c.id.in_(select(ids.c.id)))
            .values(state=state, ended_at=at)
            .returning(notifications)
        )
        return [_notification(row) for row in await self._connection.execute(ended)]

    async def forget_endpoint(self, webhook_id: UUID) -> None:
        await self._connection.execute(delete(endpoints).where(endpoints.c.webhook_id == webhook_id))

    async def delete_ended(self, before: datetime) -> int:
        """
        Delete up to 500 notifications that ended long ago.
        """
        old = select(notifications.c.id).where(notifications.c.ended_at < before).limit(PACK).scalar_subquery()
        return (await self._connection.execute(delete(notifications).where(notifications.c.id.in_(old)))).rowcount

    async def _write_health(self, webhook_id: UUID, **values: Any) -> None:
        await self._connection.execute(update(endpoints).where(endpoints.c.webhook_id == webhook_id).values(values))


def _health(row: Row[Any]) -> Health:
    return Health(row.failures, row.failing_since, row.rests_until)


def _notification(row: Row[Any]) -> Notification:
    return Notification(
        id=row.id,
        webhook_id=row.webhook_id,
        event_id=row.event_id,
        type=row.type,
        subject=row.subject,
        lane=Lane(row.lane),
        body=row.body,
        attempts=row.attempts,
        created_at=row.created_at,
    )
