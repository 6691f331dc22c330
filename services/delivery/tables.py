"""The tables of delivery."""

from sqlalchemy import Column, DateTime, Index, Integer, MetaData, SmallInteger, Table, Text, UniqueConstraint, Uuid
from sqlalchemy import text as sql

from shared.outbox import messaging_tables

metadata = MetaData(schema="delivery")
messaging = messaging_tables(metadata)

_moment = DateTime(timezone=True)

endpoints = Table(
    "endpoints",
    metadata,
    Column("webhook_id", Uuid, primary_key=True),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("failing_since", _moment),
    Column("rests_until", _moment),
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("webhook_id", Uuid, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("lane", SmallInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("created_at", _moment, nullable=False),
    # When it is looked at next: its next attempt, or the end of the lease while one is under way.
    Column("due_at", _moment, nullable=False),
    Column("last_status", SmallInteger),
    Column("last_detail", Text),
    Column("ended_at", _moment),
    # A redelivered event makes no second notification, whatever else protects against it.
    UniqueConstraint("webhook_id", "event_id", "type", "subject", name="notifications_once"),
)
Index(
    "notifications_due",
    notifications.c.webhook_id,
    notifications.c.lane.desc(),
    notifications.c.due_at,
    postgresql_where=sql("state = 'pending'"),
)
Index("notifications_age", notifications.c.created_at, postgresql_where=sql("state = 'pending'"))
Index("notifications_ended", notifications.c.ended_at, postgresql_where=sql("ended_at IS NOT NULL"))
