"""Every SQL statement of audit."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    DateTime,
    LargeBinary,
    SmallInteger,
    Text,
    Uuid,
    any_,
    bindparam,
    func,
    insert,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.ext.asyncio import AsyncConnection

from services.audit.domain import Leaf, Place
from services.audit.tables import journals, leaves, nodes, tree_heads

SEQUENCER_LOCK = 0x61756469
"""Advisory locks are numbers, one space per database; this one spells `audi`."""

# Built once: every event there is comes by here.
_LOCK = text("SELECT pg_advisory_xact_lock(:key)")
_LAST = select(func.max(leaves.c.leaf_index))
_KNOWN = select(leaves.c.event_id).where(leaves.c.event_id == any_(bindparam("event_ids", type_=ARRAY(Uuid))))
_APPEND = text(
    """
    WITH grown AS (
        INSERT INTO audit.nodes (level, ordinal, hash) SELECT * FROM unnest(:level, :ordinal, :hash)
    )
    INSERT INTO audit.leaves (leaf_index, event_id, leaf, appended_at)
    SELECT leaf_index, event_id, leaf, :appended_at
    FROM unnest(:leaf_index, :event_id, :leaf) AS fresh (leaf_index, event_id, leaf)
    """
).bindparams(
    bindparam("leaf_index", type_=ARRAY(BigInteger)),
    bindparam("event_id", type_=ARRAY(Uuid)),
    bindparam("leaf", type_=ARRAY(Text)),
    bindparam("appended_at", type_=DateTime(timezone=True)),
    bindparam("level", type_=ARRAY(SmallInteger)),
    bindparam("ordinal", type_=ARRAY(BigInteger)),
    bindparam("hash", type_=ARRAY(LargeBinary)),
)


@dataclass(frozen=True)
class SignedHead:
    """
    A tree head as it was signed.
    """

    tree_size: int
    root_hash: bytes
    signed_at: datetime
    statement: str


class Repository:
    """
    Reads and appends to the journal in one open transaction.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def be_the_sequencer(self) -> None:
        """
        Wait until no other process appends, and keep it so until the transaction ends.
        """
        await self._connection.execute(_LOCK, {"key": SEQUENCER_LOCK})

    async def found_journal(self, log_id: UUID, at: datetime) -> None:
        """
        Give the journal its identity, unless it has one.
        """
        statement = insert_or_skip(journals).values(number=1, log_id=log_id, created_at=at)
        await self._connection.execute(statement.on_conflict_do_nothing())

    async def read_log_id(self) -> str:
        return str((await self._connection.execute(select(journals.c.log_id))).scalar_one())

    async def read_size(self) -> int:
        """
        Count the leaves; numbers have no gaps, so the last one tells.
        """
        last: int | None = (await self._connection.execute(_LAST)).scalar_one()
        return 0 if last is None else last + 1

    async def find_known(self, event_ids: Collection[UUID]) -> set[UUID]:
        """
        Tell which events have a leaf already.
        """
        return set((await self._connection.execute(_KNOWN, {"event_ids": list(event_ids)})).scalars())

    async def read_hashes(self, places: Iterable[Place]) -> dict[Place, bytes]:
        wanted = list(places)
        if not wanted:
            return {}
        statement = select(nodes).where(tuple_(nodes.c.level, nodes.c.ordinal).in_(wanted))
        rows = await self._connection.execute(statement)
        return {Place(row.level, row.ordinal): row.hash for row in rows}

    async def append(
        self, first_index: int, batch: Sequence[Leaf], hashes: Iterable[tuple[Place, bytes]], at: datetime
    ) -> None:
        """
        Write leaves and the subtrees they complete.
        """
        grown = list(hashes)
        await self._connection.execute(
            _APPEND,
            {
                "leaf_index": list(range(first_index, first_index + len(batch))),
                "event_id": [leaf.event_id for leaf in batch],
                "leaf": [leaf.text for leaf in batch],
                "appended_at": at,
                "level": [place.level for place, _ in grown],
                "ordinal": [place.ordinal for place, _ in grown],
                "hash": [digest for _, digest in grown],
            },
        )

    async def find_leaf(self, *, event_id: UUID | None = None, leaf_index: int | None = None) -> tuple[int, str] | None:
        """
        Find a leaf by the event it stands for, or by its number.
        """
        chosen = leaves.c.leaf_index == leaf_index if event_id is None else leaves.c.event_id == event_id
        row = (await self._connection.execute(select(leaves.c.leaf_index, leaves.c.leaf).where(chosen))).one_or_none()
        return None if row is None else (row.leaf_index, row.leaf)

    async def add_head(self, head: SignedHead) -> None:
        await self._connection.execute(
            insert(tree_heads).values(
                tree_size=head.tree_size,
                root_hash=head.root_hash,
                signed_at=head.signed_at,
                statement=head.statement,
            )
        )

    async def find_head(self, tree_size: int | None = None) -> SignedHead | None:
        """
        Find the newest signed head, of all or of one size.
        """
        statement = select(tree_heads).order_by(tree_heads.c.tree_size.desc(), tree_heads.c.signed_at.desc()).limit(1)
        if tree_size is not None:
            statement = statement.where(tree_heads.c.tree_size == tree_size)
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else SignedHead(row.tree_size, row.root_hash, row.signed_at, row.statement)
