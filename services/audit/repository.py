"""Every SQL statement of audit."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, insert, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.ext.asyncio import AsyncConnection

from services.audit.domain import Leaf, Place
from services.audit.tables import journals, leaves, nodes, tree_heads

SEQUENCER_LOCK = 0x61756469
"""Advisory locks are numbers, one space per database; this one spells `audi`."""


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
        await self._connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SEQUENCER_LOCK})

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
        last: int | None = (await self._connection.execute(select(func.max(leaves.c.leaf_index)))).scalar_one()
        return 0 if last is None else last + 1

    async def find_known(self, event_ids: Collection[UUID]) -> set[UUID]:
        """
        Tell which events have a leaf already.
        """
        statement = select(leaves.c.event_id).where(leaves.c.event_id.in_(event_ids))
        return set((await self._connection.execute(statement)).scalars())

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
        await self._connection.execute(
            insert(leaves),
            [
                {"leaf_index": index, "event_id": leaf.event_id, "leaf": leaf.text, "appended_at": at}
                for index, leaf in enumerate(batch, first_index)
            ],
        )
        await self._connection.execute(
            insert(nodes),
            [{"level": place.level, "ordinal": place.ordinal, "hash": digest} for place, digest in hashes],
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
