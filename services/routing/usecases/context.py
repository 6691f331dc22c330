"""What use cases work with."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from services.routing.clients.packets import Packets
from services.routing.clients.registry import RegisterReader
from services.routing.clients.signing import Signing
from services.routing.settings import Settings
from shared.blobs import BlobStore
from shared.clock import Clock
from shared.contracts.base import MAX_ITEMS
from shared.contracts.routing import MailboxChanged
from shared.groups import Group
from shared.identifiers import IdSource
from shared.messaging import Bus
from shared.outbox import Store, UnitOfWork, WorkAtOnce
from shared.tokens import TokenVerifier

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


@dataclass
class Bells:
    """
    Wake the loops of this process as soon as there is work; other copies find it within seconds.
    """

    lanes: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Context:
    """
    Collaborators of every use case.
    """

    settings: Settings
    store: Store
    bus: Bus
    register: RegisterReader
    signing: Signing
    packets: Packets
    blobs: BlobStore
    verifier: TokenVerifier
    clock: Clock
    new_id: IdSource
    bells: Bells = field(default_factory=Bells)
    _groups: dict[Any, Group[Any, Any]] = field(default_factory=dict)

    def group(
        self,
        work: Callable[["Context", Sequence[ItemT]], Awaitable[Sequence[ResultT | Exception]]],
        *,
        apart: Hashable = None,
        most: int = 64,
    ) -> Group[ItemT, ResultT]:
        """
        The group of this process that does some work for concurrent requests together.

        Args:
            work: Does several at once; see `Group`.
            apart: What is never done together with the rest, such as a lane.
            most: Items done in one go.
        """
        if (work, apart) not in self._groups:
            self._groups[work, apart] = Group(partial(work, self), most=most)
        return self._groups[work, apart]

    def hint_after_commit(self, uow: UnitOfWork | WorkAtOnce, agency_keys: set[UUID]) -> None:
        """
        Tell whoever waits that something changed for these agencies, once it is durable.
        """
        keys = sorted(agency_keys)

        def tell() -> None:
            for start in range(0, len(keys), MAX_ITEMS):
                self.bus.hint(MailboxChanged(agency_keys=tuple(keys[start : start + MAX_ITEMS])))

        uow.after_commit(tell)
