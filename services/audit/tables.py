"""The tables of audit."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
)

from shared.outbox import messaging_tables

metadata = MetaData(schema="audit")
messaging = messaging_tables(metadata)

journals = Table(
    "journals",
    metadata,
    # The one row says which log this is: made at the first start, part of every signed head.
    Column("number", SmallInteger, primary_key=True, autoincrement=False),
    Column("log_id", Uuid, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

leaves = Table(
    "leaves",
    metadata,
    Column("leaf_index", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", Uuid, nullable=False, unique=True),
    Column("leaf", Text, nullable=False),
    Column("appended_at", DateTime(timezone=True), nullable=False),
)

nodes = Table(
    "nodes",
    metadata,
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("ordinal", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)

tree_heads = Table(
    "tree_heads",
    metadata,
    Column("number", BigInteger, Identity(always=True), primary_key=True),
    Column("tree_size", BigInteger, nullable=False),
    Column("root_hash", LargeBinary, nullable=False),
    Column("signed_at", DateTime(timezone=True), nullable=False),
    Column("statement", Text, nullable=False),
)
Index("tree_heads_size", tree_heads.c.tree_size, tree_heads.c.signed_at)
