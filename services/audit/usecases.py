"""What audit can do: append events, sign heads, prove."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from services.audit.clients import Signing
from services.audit.domain import (
    Leaf,
    Place,
    Span,
    consistency_spans,
    grow,
    hash_leaf,
    hash_span,
    head_payload,
    inclusion_spans,
    places,
    places_of,
)
from services.audit.errors import NotFound, RequestInvalid
from services.audit.repository import Repository, SignedHead
from shared.contracts.audit import Consistency, Inclusion, TreeHead
from shared.errors import AxisError
from shared.groups import Group
from shared.messaging.port import DEFAULT_DEADLINE
from shared.outbox import MessagingFigures, Store
from shared.telemetry import get_logger
from shared.telemetry.figures import Figures

MAX_BATCH = 256
LAST_HEAD_SECONDS = 2

_logger = get_logger(__name__)


async def found_journal(store: Store) -> None:
    """
    Give the journal its identity at the first start.
    """
    async with store.begin() as uow:
        await Repository(uow.connection).found_journal(store.new_id(), store.clock.now())
        await uow.commit()


async def look(store: Store, figures: Figures) -> None:
    """
    Show how long the journal is, and how much of it no signed head covers yet.
    """
    async with store.read() as connection:
        repository = Repository(connection)
        size = await repository.read_size()
        head = await repository.find_head()
    figures.journal_size.set(size)
    figures.journal_unsigned.set(size - (head.tree_size if head else 0))
    figures.journal_head_age.set((store.clock.now() - head.signed_at).total_seconds() if head else 0.0)
    await MessagingFigures(store, figures).look()


class Sequencer:
    """
    Appends leaves, those that come together in one transaction. Across processes an advisory lock gives one turn at a
    time.

    Args:
        store: The service's database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._group = Group(self._write, most=MAX_BATCH)
        self._edge: tuple[int, dict[Place, bytes]] = (0, {})
        """Size of the journal and the subtrees along its edge, as they were last; they are good while the size is."""

    async def append(self, leaf: Leaf) -> None:
        """
        Append a leaf and return once it is durable; an event that has one already gets no second.

        Raises:
            Unavailable: It is not known to be durable; append it again.
        """
        await self._group.do(leaf)

    async def _write(self, batch: Sequence[Leaf]) -> Sequence[None]:
        distinct = {leaf.event_id: leaf for leaf in batch}
        async with self._store.begin() as uow:
            repository = Repository(uow.connection)
            await repository.be_the_sequencer()
            known = await repository.find_known(distinct)
            fresh = [leaf for event_id, leaf in distinct.items() if event_id not in known]
            if not fresh:
                return [None] * len(batch)
            size = await repository.read_size()
            known_size, hashes = self._edge
            if known_size != size:  # another process has appended since, or nothing is known yet
                hashes = await repository.read_hashes(places(Span(0, size)))
            hashes = dict(hashes)
            completed = [place for n, leaf in enumerate(fresh, size) for place in grow(n, leaf.hash, hashes)]
            now = self._store.clock.now()
            await repository.append(size, fresh, [(place, hashes[place]) for place in completed], now)
            await uow.commit()
        grown = size + len(fresh)
        self._edge = grown, {place: hashes[place] for place in places(Span(0, grown))}
        return [None] * len(batch)


class Notary:
    """
    Signs heads of the journal and proves what is in it.

    Args:
        store: The service's database.
        signing: Signs.
    """

    def __init__(self, store: Store, signing: Signing) -> None:
        self._store = store
        self._signing = signing

    async def sign_head(self, *, within: timedelta = DEFAULT_DEADLINE) -> SignedHead:
        """
        Sign the journal as it stands now.
        """
        async with self._store.read() as connection:
            repository = Repository(connection)
            log_id = await repository.read_log_id()
            size = await repository.read_size()
            root = hash_span(Span(0, size), await repository.read_hashes(places(Span(0, size))))
        now = self._store.clock.now()
        statement = await self._signing.sign_tree_head(head_payload(log_id, size, root, now), within=within)
        head = SignedHead(size, root, now, statement)
        async with self._store.begin() as uow:
            await Repository(uow.connection).add_head(head)
            await uow.commit()
        return head

    async def sign_last_head(self) -> None:
        """
        Sign what was appended since the newest head, if signing still answers: a stop must not hang on it.
        """
        try:
            async with self._store.read() as connection:
                repository = Repository(connection)
                head = await repository.find_head()
                grown = await repository.read_size() > (head.tree_size if head else 0)
            if grown:
                await self.sign_head(within=timedelta(seconds=LAST_HEAD_SECONDS))
        except (AxisError, RuntimeError) as error:
            _logger.warning("the last tree head is not signed", error=repr(error))

    async def read_head(self, tree_size: int | None) -> TreeHead:
        """
        Give the newest signed head, or the newest of a size; the very first is signed on demand.

        Raises:
            NotFound: No head of that size was signed.
        """
        async with self._store.read() as connection:
            head = await Repository(connection).find_head(tree_size)
        if head is None and tree_size is None:
            head = await self.sign_head()
        if head is None:
            raise NotFound(f"no head of size {tree_size} was signed")
        return await self._show(head)

    async def prove_inclusion(
        self, *, event_id: UUID | None, leaf_index: int | None, tree_size: int | None
    ) -> Inclusion:
        """
        Prove that an event is in the journal; when no signed head includes it yet, one is made.

        Raises:
            RequestInvalid: Not exactly one of event and leaf number is named.
            NotFound: There is no such leaf, or no such head that includes it.
        """
        if (event_id is None) == (leaf_index is None):
            raise RequestInvalid("name either an event id or a leaf number")
        async with self._store.read() as connection:
            repository = Repository(connection)
            found = await repository.find_leaf(event_id=event_id, leaf_index=leaf_index)
            head = await repository.find_head(tree_size)
        if found is None:
            raise NotFound("the journal has no such leaf")
        index, leaf = found
        if tree_size is None and (head is None or head.tree_size <= index):
            head = await self.sign_head()
        if head is None or head.tree_size <= index:
            raise NotFound(f"no signed head of size {tree_size} includes leaf {index}")
        spans = inclusion_spans(index, head.tree_size)
        return Inclusion(
            leaf_index=index,
            leaf=leaf,
            leaf_hash=hash_leaf(leaf.encode()).hex(),
            audit_path=await self._hash(spans),
            head=await self._show(head),
        )

    async def prove_consistency(self, first: int, second: int) -> Consistency:
        """
        Prove that the journal of a later size only appended to that of an earlier one.

        Raises:
            RequestInvalid: The sizes fall.
            NotFound: The journal is not that long.
        """
        if first > second:
            raise RequestInvalid("the first size must not be above the second")
        async with self._store.read() as connection:
            size = await Repository(connection).read_size()
        if second > size:
            raise NotFound(f"the journal has {size} leaves")
        return Consistency(first=first, second=second, path=await self._hash(consistency_spans(first, second)))

    async def _hash(self, spans: list[Span]) -> tuple[str, ...]:
        async with self._store.read() as connection:
            hashes = await Repository(connection).read_hashes(places_of(spans))
        return tuple(hash_span(span, hashes).hex() for span in spans)

    async def _show(self, head: SignedHead) -> TreeHead:
        async with self._store.read() as connection:
            log_id = await Repository(connection).read_log_id()
        return TreeHead(
            log_id=log_id,
            tree_size=head.tree_size,
            root_hash=head.root_hash.hex(),
            time=head.signed_at,
            statement=head.statement,
        )
