"""
Exchange with a national axis so that a crash at any point loses nothing and does nothing twice.

    send      the wish is noted, then the bytes leave, then the axis' name for them is noted. A wish that was carried
              out is answered from the note. One whose answer was lost is sent again, byte for byte: the axis knows a
              package by sender, digest and DocumentId
    poll      what is listed is noted; what is noted and listed no more is settled; a result the axis seems not to have
              heard is told again
    fetch     bytes that lie in the blob store are not fetched again
    finish    the result is noted, then told, then noted as told; what was told is not told again
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Final, TypeVar

from services.delivery.clients.vxp.answers import SentRow, Unit
from services.delivery.clients.vxp.client import VxpClient
from services.delivery.domain.national import KEEP_FINISHED, Item, MessageType, Sending, TransferState
from services.delivery.domain.notifications import Health, Verdict
from services.delivery.errors import (
    ItemDecidedOtherwise,
    ItemNotFetched,
    ItemUnknown,
    NationalAxisUnavailable,
)
from services.delivery.repository.national import PACK, NationalRepository, delete_old
from shared.blobs import BlobStore
from shared.errors import Rejected, Unavailable
from shared.outbox import Store
from shared.telemetry import get_logger

LEASE: Final = timedelta(seconds=60)
"""How long others wait for a copy that has died while it was sending."""

RENEW_SECONDS: Final = 20.0

PROBE: Final = timedelta(seconds=60)
"""How long a single call probes an axis that is failing, while everybody else waits for what it finds."""

_T = TypeVar("_T")
_logger = get_logger(__name__)


class NationalAxis:
    """
    One national axis, with what this node remembers of it; any number of copies may share it.

    Args:
        store: The service's database.
        client: Speaks the protocol.
        blobs: Where packages lie.
        name: What the axis is known under here.
    """

    def __init__(self, store: Store, client: VxpClient, blobs: BlobStore, *, name: str) -> None:
        self._store = store
        self._client = client
        self._blobs = blobs
        self._name = name

    # --- sending ---

    async def send(self, sending: Sending) -> str:
        """
        Have a package carried and give what the axis calls it; the same wish again gives the same.

        Raises:
            NationalAxisRefused: It was not taken. Nothing is remembered against it: it may be sent again.
            NationalAxisUnavailable: Nobody knows. Send it again.
            Unavailable: Another copy is sending it.
        """
        now = self._store.clock.now()
        async with self._repository() as repository:
            noted = await repository.lock_sending(sending, now)
            if noted.doc_id is None and noted.lease_until <= now:
                await repository.lease_sending(sending, now + LEASE, attempts=noted.attempts + 1)
        if noted.doc_id is not None:
            return noted.doc_id
        if noted.lease_until > now:
            raise Unavailable("this package is being sent", retry_after=_seconds(noted.lease_until - now))
        try:
            async with self._keeping(sending):
                doc_id = await self._guarded(
                    lambda: self._client.send(
                        sending.message_type,
                        sending.packet_sha256,
                        sender=sending.sender,
                        addressees=sending.addressees,
                    )
                )
        except (Rejected, Unavailable) as failed:
            async with self._repository() as repository:
                await repository.record_failure(sending, self._store.clock.now(), failed.detail)
            raise
        async with self._repository() as repository:
            return await repository.record_sent(sending, doc_id, self._store.clock.now())

    async def sent_list(self, message_type: MessageType, *, doc_id: str | None = None) -> list[SentRow]:
        """
        List what became of what was sent.
        """
        return await self._guarded(lambda: self._client.sent_list(message_type, doc_id=doc_id))

    # --- receiving ---

    async def poll(self, message_type: MessageType) -> list[Item]:
        """
        List what lies on the axis and waits for a result of ours, in the axis' order.
        """
        asked_at = self._store.clock.now()
        listed = {item.doc_id: item for item in await self._guarded(lambda: self._client.inbox(message_type))}
        new = [Item(one.doc_id, message_type, one.sender, one.addressee) for one in listed.values()]
        async with self._repository() as repository:
            known = await repository.items(listed)
            now = self._store.clock.now()
            await repository.note_listed((item for item in new if item.doc_id not in known), now)
            await repository.settle_unlisted(message_type, listed, since=asked_at, now=now)
        items = [known.get(item.doc_id, item) for item in new]
        # An axis that goes on listing what is finished, and says so, has heard.
        unheard = [item for item in items if item.result not in {None, listed[item.doc_id].state}]
        await self._tell_again(unheard)
        return [item for item in items if item.result is None]

    async def fetch(self, doc_id: str) -> Item:
        """
        Fetch an item's package into the blob store, unless it lies there.

        Raises:
            ItemUnknown: It was never listed.
            NationalAxisRefused: The axis does not give it.
        """
        async with self._store.read() as connection:
            item = await NationalRepository(connection, self._name).item(doc_id)
        if item is None:
            raise ItemUnknown("no poll has listed this item")
        if item.packet_sha256 is not None and await self._blobs.renew(item.packet_sha256):
            return item
        blob = await self._guarded(lambda: self._client.fetch(doc_id))
        async with self._repository() as repository:
            await repository.record_fetched(doc_id, blob.sha256, self._store.clock.now())
        return replace(item, packet_sha256=blob.sha256)

    async def finish(self, doc_id: str, result: TransferState, description: str = "") -> None:
        """
        Decide that an item is done or has failed, and tell the axis. Call it once the package is safely taken.

        Once this is noted the axis will hear of it, whatever happens: at the latest when it lists the item again.

        Raises:
            ItemUnknown: It was never listed.
            ItemNotFetched: What was not fetched cannot be done.
            ItemDecidedOtherwise: It has the other result already.
        """
        if not result.is_final:
            raise ValueError(f"{result.value} is no result")
        async with self._repository() as repository:
            item = await repository.lock_item(doc_id)
            if item is None:
                raise ItemUnknown("no poll has listed this item")
            if item.result is None:
                if result is TransferState.DONE and item.packet_sha256 is None:
                    raise ItemNotFetched("an item that was not fetched cannot be done")
                await repository.record_result(doc_id, result, description, self._store.clock.now())
            elif item.result is not result:
                raise ItemDecidedOtherwise(f"the item is {item.result.value} already")
        if item.told_at is None:
            await self._tell(replace(item, result=result, description=item.description or description))

    async def count(self, message_type: MessageType) -> int:
        """
        Count what lies on the axis.
        """
        return await self._guarded(lambda: self._client.count(message_type))

    # --- units ---

    async def units(self) -> AsyncGenerator[Sequence[Unit], None]:
        """
        Go through every unit of the axis, 500 at a time.
        """
        async with aclosing(self._client.units()) as units:

            async def next_page() -> Sequence[Unit] | None:
                return await anext(units, None)

            page = await self._guarded(next_page)  # by then everything has come
            while page is not None:
                yield page
                page = await next_page()

    # --- what these are made of ---

    async def _tell_again(self, items: Sequence[Item]) -> None:
        for item in items:
            try:
                await self._tell(item)
            except Rejected as refused:
                _logger.warning("the national axis does not take a result", doc_id=item.doc_id, why=refused.detail)
            except Unavailable as failed:
                _logger.warning("results are told later", why=failed.detail)
                return

    async def _tell(self, item: Item) -> None:
        result = item.result
        assert result is not None
        await self._guarded(lambda: self._client.update_status(item.doc_id, result, item.description))
        async with self._repository() as repository:
            await repository.record_told(item.doc_id, self._store.clock.now())

    async def _guarded(self, call: Callable[[], Awaitable[_T]]) -> _T:
        health = await self._enter()
        try:
            answer = await call()
        except NationalAxisUnavailable as failed:
            asked = timedelta(seconds=failed.asked_seconds) if failed.asked_seconds else None
            await self._note(Verdict.FAILED, asked)
            raise
        except Rejected:
            await self._note_success(health)  # whoever refuses is there
            raise
        await self._note_success(health)
        return answer

    async def _enter(self) -> Health:
        async with self._store.read() as connection:
            health = await NationalRepository(connection, self._name).health()
        self._check_rest(health)
        if health.is_failing:
            async with self._repository() as repository:
                health = await repository.lock_health()
                self._check_rest(health)
                await repository.set_health(replace(health, rests_until=self._store.clock.now() + PROBE))
        return health

    def _check_rest(self, health: Health) -> None:
        now = self._store.clock.now()
        if health.rests_until is not None and health.rests_until > now:
            raise NationalAxisUnavailable(
                f"the national axis is left alone after {health.failures} failures in a row",
                retry_after=_seconds(health.rests_until - now),
            )

    async def _note_success(self, before: Health) -> None:
        if before != Health():
            await self._note(Verdict.DONE, None)

    async def _note(self, verdict: Verdict, pause: timedelta | None) -> None:
        async with self._repository() as repository:
            before = await repository.lock_health()
            after = before.after([verdict], pause, self._store.clock.now())
            await repository.set_health(after)
        if before.is_failing != after.is_failing:
            state = "failing" if after.is_failing else "working"
            _logger.warning("the national axis changed its state", axis=self._name, state=state)

    @asynccontextmanager
    async def _keeping(self, sending: Sending) -> AsyncIterator[None]:
        async def renew() -> None:
            while True:
                await asyncio.sleep(RENEW_SECONDS)
                async with self._repository() as repository:
                    await repository.renew_lease(sending, self._store.clock.now() + LEASE)

        task = asyncio.create_task(renew())
        try:
            yield
        finally:
            task.cancel()
            # An outage of the database while the bytes flowed shows when their fate is noted.
            await asyncio.gather(task, return_exceptions=True)

    @asynccontextmanager
    async def _repository(self) -> AsyncIterator[NationalRepository]:
        async with self._store.begin() as uow:
            yield NationalRepository(uow.connection, self._name)
            await uow.commit()


async def forget_finished(store: Store) -> None:
    """
    Delete what was sent or finished long ago, 500 at a time.
    """
    before = store.clock.now() - KEEP_FINISHED
    deleted = PACK
    while deleted == PACK:
        async with store.begin() as uow:
            deleted = await delete_old(uow.connection, before)
            await uow.commit()


def _seconds(span: timedelta) -> int:
    return max(1, int(span.total_seconds()))
