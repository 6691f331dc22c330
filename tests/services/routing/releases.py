"""Processes of other releases: they speak the contracts of the last one, or of one that is yet to come."""

import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Self

from shared.contracts.base import Contract, Hint, Lane, Operation
from shared.messaging import Bus, Item
from shared.messaging.port import DEFAULT_DEADLINE, EventHandler
from tests.contract.compatibility import KEPT, contracts, project, widen

LAST = json.loads(KEPT.read_text(encoding="utf-8"))
TODAY = contracts()


class Raw(Contract):
    """
    What travels, as it travels.
    """

    text: str

    def model_dump_json(self, **_: Any) -> str:
        return self.text

    @classmethod
    def model_validate_json(cls, text: Any, **_: Any) -> Self:
        return cls(text=text)


@dataclass
class Copies:
    """
    Several copies of one service on a bus that knows one: they are given asks and events in turn, as by a broker.
    """

    party: Bus
    _handlers: dict[str, list[Callable[[Any], Awaitable[Any]]]] = field(default_factory=dict)

    def one(self) -> Bus:
        return Copy(self)

    def add(self, name: str, handler: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]] | None:
        """
        The handler to register if this is the first of its name.
        """
        known = self._handlers.setdefault(name, [])
        known.append(handler)
        if len(known) > 1:
            return None
        turns = itertools.count()

        async def whose_turn_it_is(value: Any) -> Any:
            return await known[next(turns) % len(known)](value)

        return whose_turn_it_is


@dataclass
class Through:
    """
    Passes everything on.
    """

    bus: Bus

    async def publish(self, items: Sequence[Item]) -> Sequence[bool]:
        return await self.bus.publish(items)

    async def ask(
        self, operation: Any, request: Any, *, lane: Lane = Lane.ORDINARY, within: timedelta = DEFAULT_DEADLINE
    ) -> Any:
        return await self.bus.ask(operation, request, lane=lane, within=within)

    def answer(self, operation: Any, handler: Any) -> None:
        self.bus.answer(operation, handler)

    def subscribe(self, topic: str, handler: EventHandler, *, concurrency: int = 16) -> None:
        self.bus.subscribe(topic, handler, concurrency=concurrency)

    def hint(self, hint: Hint) -> None:
        self.bus.hint(hint)

    def on_hint(self, kind: Any, handler: Any) -> None:
        self.bus.on_hint(kind, handler)


class Copy(Through):
    def __init__(self, copies: Copies) -> None:
        super().__init__(copies.party)
        self._copies = copies

    def answer(self, operation: Any, handler: Any) -> None:
        # Copies of different releases read and write each in their own way, so what is in between passes as it is.
        raw = handler if operation.request is Raw else _plain(operation, handler)
        if first := self._copies.add(operation.name, raw):
            super().answer(Operation(operation.name, Raw, Raw), first)

    def subscribe(self, topic: str, handler: EventHandler, *, concurrency: int = 16) -> None:
        if first := self._copies.add(f"event {topic}", handler):
            super().subscribe(topic, first, concurrency=concurrency)


def _plain(operation: Any, handler: Any) -> Any:
    async def answer(request: Raw) -> Any:
        reply = await handler(operation.request.model_validate_json(request.text))
        return Raw(text=reply.model_dump_json())

    return answer


class Release(Through):
    """
    A party whose every word is changed on its way out and in.
    """

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus)
        self.heard: set[str] = set()

    def out(self, value: Any, kind: str, name: str) -> Any:
        raise NotImplementedError

    def come(self, value: Any, kind: str, name: str) -> Any:
        raise NotImplementedError

    def _out(self, text: str, kind: str, name: str) -> str:
        return json.dumps(self.out(json.loads(text), kind, name))

    def _come(self, text: str, kind: str, name: str) -> str:
        self.heard.add(name)
        return json.dumps(self.come(json.loads(text), kind, name))

    async def ask(
        self, operation: Any, request: Any, *, lane: Lane = Lane.ORDINARY, within: timedelta = DEFAULT_DEADLINE
    ) -> Any:
        name = operation.name
        said = Raw(text=self._out(request.model_dump_json(), "request", name))
        reply = await super().ask(Operation(name, Raw, Raw), said, lane=lane, within=within)
        return operation.reply.model_validate_json(self._come(reply.text, "reply", name))

    def answer(self, operation: Any, handler: Any) -> None:
        name = operation.name

        async def answer(request: Raw) -> Raw:
            reply = await handler(operation.request.model_validate_json(self._come(request.text, "request", name)))
            return Raw(text=self._out(reply.model_dump_json(), "reply", name))

        super().answer(Operation(name, Raw, Raw), answer)

    def subscribe(self, topic: str, handler: EventHandler, *, concurrency: int = 16) -> None:
        async def hear(item: Item) -> None:
            await handler(replace(item, data=self._come(item.data, "event", item.type)))

        super().subscribe(topic, hear, concurrency=concurrency)

    async def publish(self, items: Sequence[Item]) -> Sequence[bool]:
        said = [replace(item, data=self._out(item.data, "event", item.type)) for item in items]
        return await super().publish(said)


def schema_of(release: dict[str, Any], kind: str, name: str) -> Any:
    return release["events"][name] if kind == "event" else release["operations"][name][kind]


class OfLastRelease(Release):
    """
    Knows what the kept file knows: drops every field that is not in it, said or heard.
    """

    def out(self, value: Any, kind: str, name: str) -> Any:
        return self.come(value, kind, name)

    def come(self, value: Any, kind: str, name: str) -> Any:
        schema = schema_of(LAST, kind, name)
        return project(value, schema, schema)


class OfNextRelease(Release):
    """
    Says something in every object that nobody knows yet, and understands what today's processes say.
    """

    def out(self, value: Any, kind: str, name: str) -> Any:
        schema = schema_of(TODAY, kind, name)
        return widen(value, schema, schema)

    def come(self, value: Any, kind: str, name: str) -> Any:
        return value
