"""The four tables of messaging that every service has in its own schema."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Integer, MetaData, SmallInteger, Table, Text, Uuid
from sqlalchemy import text as sql


@dataclass(frozen=True)
class MessagingTables:
    """
    Attributes:
        outbox: Events written with their facts; kept 1 day once sent.
        inbox: Ids of items consumed; kept 30 days.
        message_attempts: How often handling an item raised.
        dead_messages: Items that raised too often.
    """

    outbox: Table
    inbox: Table
    message_attempts: Table
    dead_messages: Table


def messaging_tables(metadata: MetaData) -> MessagingTables:
    """
    Define the tables in a service's metadata.
    """
    moment = DateTime(timezone=True)
    outbox = Table(
        "outbox",
        metadata,
        Column("seq", BigInteger, Identity(always=True), primary_key=True),
        Column("id", Uuid, nullable=False, unique=True),
        Column("topic", Text, nullable=False),
        Column("lane", SmallInteger, nullable=False),
        Column("data", Text, nullable=False),
        Column("correlation_id", Text, nullable=False),
        Column("created_at", moment, nullable=False),
        Column("due_at", moment, nullable=False),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("sent_at", moment),
    )
    Index("outbox_unsent", outbox.c.lane.desc(), outbox.c.seq, postgresql_where=sql("sent_at IS NULL"))
    Index("outbox_sent", outbox.c.sent_at, postgresql_where=sql("sent_at IS NOT NULL"))
    inbox = Table(
        "inbox",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("message_id", Uuid, primary_key=True),
        Column("consumed_at", moment, nullable=False),
    )
    Index("inbox_consumed", inbox.c.consumed_at)
    message_attempts = Table(
        "message_attempts",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("message_id", Uuid, primary_key=True),
        Column("attempts", Integer, nullable=False),
        Column("error", Text, nullable=False),
        Column("failed_at", moment, nullable=False),
    )
    dead_messages = Table(
        "dead_messages",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("message_id", Uuid, primary_key=True),
        Column("topic", Text, nullable=False),
        Column("source", Text, nullable=False),
        Column("lane", SmallInteger, nullable=False),
        Column("data", Text, nullable=False),
        Column("correlation_id", Text, nullable=False),
        Column("created_at", moment, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("error", Text, nullable=False),
        Column("died_at", moment, nullable=False),
    )
    return MessagingTables(outbox, inbox, message_attempts, dead_messages)


def messaging_ddl(schema: str) -> tuple[str, ...]:
    """
    The statements that made these tables first; a migration runs them, and they are never changed afterwards.
    """
    return (
        f"""
        CREATE TABLE {schema}.outbox (
            seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            id uuid NOT NULL UNIQUE,
            topic text NOT NULL,
            lane smallint NOT NULL,
            data text NOT NULL,
            correlation_id text NOT NULL,
            created_at timestamptz NOT NULL,
            due_at timestamptz NOT NULL,
            attempts integer NOT NULL DEFAULT 0,
            sent_at timestamptz
        )
        """,
        f"CREATE INDEX outbox_unsent ON {schema}.outbox (lane DESC, seq) WHERE sent_at IS NULL",
        f"CREATE INDEX outbox_sent ON {schema}.outbox (sent_at) WHERE sent_at IS NOT NULL",
        f"""
        CREATE TABLE {schema}.inbox (
            consumer text NOT NULL,
            message_id uuid NOT NULL,
            consumed_at timestamptz NOT NULL,
            PRIMARY KEY (consumer, message_id)
        )
        """,
        f"CREATE INDEX inbox_consumed ON {schema}.inbox (consumed_at)",
        f"""
        CREATE TABLE {schema}.message_attempts (
            consumer text NOT NULL,
            message_id uuid NOT NULL,
            attempts integer NOT NULL,
            error text NOT NULL,
            failed_at timestamptz NOT NULL,
            PRIMARY KEY (consumer, message_id)
        )
        """,
        f"""
        CREATE TABLE {schema}.dead_messages (
            consumer text NOT NULL,
            message_id uuid NOT NULL,
            topic text NOT NULL,
            source text NOT NULL,
            lane smallint NOT NULL,
            data text NOT NULL,
            correlation_id text NOT NULL,
            created_at timestamptz NOT NULL,
            attempts integer NOT NULL,
            error text NOT NULL,
            died_at timestamptz NOT NULL,
            PRIMARY KEY (consumer, message_id)
        )
        """,
    )
