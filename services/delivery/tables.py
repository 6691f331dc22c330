"""The tables of delivery."""

from sqlalchemy import Column, DateTime, Index, Integer, MetaData, SmallInteger, Table, Text, UniqueConstraint, Uuid
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY

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

national_axes = Table(
    "national_axes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("failing_since", _moment),
    Column("rests_until", _moment),
)

national_sendings = Table(
    "national_sendings",
    metadata,
    Column("axis", Text, primary_key=True),
    # The same wish is the same row, so that it is carried out once.
    Column("request_sha256", Text, primary_key=True),
    Column("message_type", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("addressees", ARRAY(Text), nullable=False),
    Column("packet_sha256", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    # While somebody is at it; renewed as long as the bytes flow.
    Column("lease_until", _moment, nullable=False),
    Column("last_detail", Text),
    Column("created_at", _moment, nullable=False),
    Column("doc_id", Text),
    Column("sent_at", _moment),
)
Index("national_sendings_age", national_sendings.c.created_at)

national_items = Table(
    "national_items",
    metadata,
    Column("axis", Text, primary_key=True),
    Column("doc_id", Text, primary_key=True),
    Column("message_type", Text, nullable=False),
    Column("sender", Text),
    Column("addressee", Text),
    Column("listed_at", _moment, nullable=False),
    Column("packet_sha256", Text),
    Column("fetched_at", _moment),
    # Written before the axis is told, so that a restart in between tells it the same.
    Column("result", Text),
    Column("description", Text, nullable=False, server_default=""),
    Column("decided_at", _moment),
    Column("told_at", _moment),
)
Index(
    "national_items_open",
    national_items.c.axis,
    national_items.c.message_type,
    postgresql_where=national_items.c.told_at.is_(None),
)
Index("national_items_told", national_items.c.told_at, postgresql_where=national_items.c.told_at.is_not(None))
