"""One process of the system: looked at, started, and drained when it is told to stop."""

import asyncio
import contextlib
import os
import signal
import tempfile
import warnings
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import asyncpg
import uvloop

from deploy.composition import GATEWAY, SERVICES, Means, compose, compose_gateway, make_sandbox, traces
from deploy.distributed.broker_checks import Place, check_broker
from deploy.distributed.database import Identity, Line, check_database
from deploy.distributed.health import Readiness, health_app
from deploy.distributed.settings import Given
from deploy.embedded.errors import NodeError
from deploy.embedded.home import Home
from deploy.embedded.listeners import Door, Listeners
from shared.blobs import FolderBlobStore
from shared.clock import SystemClock
from shared.identifiers import Uuid7Source
from shared.messaging.rabbitmq import BrokerRefused, RabbitBus
from shared.telemetry import configure_logs, get_logger
from shared.telemetry.figures import CONTENT_TYPE, Figures

ALONE: Final = frozenset({"audit"})
"""Processes of which a node has exactly one: the journal has one sequencer."""

WITH_BLOBS: Final = frozenset({"gateway", "registry", "routing"})

_LOOK_SECONDS: Final = 1.0
_TAKE_OVER_SECONDS: Final = 45.0
"""A former copy whose machine died is noticed by database and broker within this time."""

_logger = get_logger(__name__)


def serve(process: str, home: Path | None, *, copy_number: int) -> int:
    """
    Run one process until SIGTERM or Ctrl-C.

    Args:
        process: Which one.
        home: The node's folder, for what settings do not say; None where they say everything.
        copy_number: Which of its copies, for people who read logs and process lists.

    Returns:
        Exit code: 0 after an orderly stop.

    Raises:
        NodeError: It cannot run, with the remedy.
    """
    configure_logs()
    warnings.showwarning = lambda message, *_args, **_more: _logger.warning(str(message))
    given = Given(process, None if home is None else Home(home.absolute()))
    _logger.info("starting", process=process, copy=copy_number, pid=os.getpid())
    with traces(process):
        uvloop.run(_until_told(given))
    return 0


async def _until_told(given: Given) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    running = loop.create_task(_Process(given, told).run())
    waiting = loop.create_task(told.wait())
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    await running


class _Process:
    """
    One process from its checks to its end.

    Args:
        given: All it was given.
        told: Set when it is to stop.
    """

    def __init__(self, given: Given, told: asyncio.Event) -> None:
        self._given = given
        self._told = told
        self._readiness = Readiness()
        self._figures = Figures()
        self._clock = SystemClock()
        self._new_id = Uuid7Source(self._clock)
        self._holds: dict[str, Callable[[], Awaitable[bool]]] = {}

    async def run(self) -> None:
        async with AsyncExitStack() as stack:
            starting = asyncio.ensure_future(self._start(stack))
            told = asyncio.ensure_future(self._told.wait())
            await asyncio.wait([starting, told], return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():  # told to stop before it stood
                starting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await starting
                return
            _result_of(starting)
            _logger.info("ready", process=self._given.name, pid=os.getpid())
            watching = asyncio.ensure_future(self._watch())
            await asyncio.wait([watching, told], return_when=asyncio.FIRST_COMPLETED)
            _logger.info("draining", process=self._given.name)
            self._readiness.stopping = True
            if watching.done():
                watching.result()
            watching.cancel()
        _logger.info("stopped", process=self._given.name)

    async def _start(self, stack: AsyncExitStack) -> None:
        given, name = self._given, self._given.name
        identity = await self._check()
        if name != GATEWAY:
            health = health_app(self._readiness, self._figures.text, CONTENT_TYPE)
            doors = [Door("health", health, given.process.health_host, given.process.health_port)]
            # Opened before everything else, and so closed after it: whoever asks while we drain is told so.
            await self._open(stack, doors)
        self._readiness.tell("process", "starting")
        if identity is not None:
            await self._take_place(stack)
        bus = RabbitBus(given.broker_url, party=name, clock=self._clock, new_id=self._new_id)
        blobs = None
        if name in WITH_BLOBS:
            blobs = FolderBlobStore(given.blob_folder, self._clock)
            await blobs.start()
        sandbox = await stack.enter_async_context(make_sandbox()) if name == "routing" else None
        means = Means(bus, self._clock, self._new_id, blobs, sandbox, self._figures)
        stack.push_async_callback(bus.close)
        self._figures.watch_queues(bus.depths)
        self._bus = bus
        if name == GATEWAY:
            gateway = compose_gateway(given.values(), means)
            await bus.start()
            public = Door("agencies", gateway.public, given.process.listen_host, given.process.listen_port)
            admin = Door("command line", gateway.admin, given.process.admin_host, given.process.admin_port)
            await self._open(stack, [public, admin])
            stack.push_async_callback(gateway.stop)
        else:
            service = compose(name, given.values(), means)
            await bus.start()
            await stack.enter_async_context(service)
        # What is in hand is finished while everything it needs still stands.
        stack.push_async_callback(bus.drain, given.process.drain_seconds)
        self._readiness.tell("process", "")

    async def _open(self, stack: AsyncExitStack, doors: list[Door]) -> None:
        listeners = Listeners(doors, grace_seconds=round(self._given.process.drain_seconds))
        stack.push_async_callback(listeners.close)
        await listeners.open()

    async def _check(self) -> Identity | None:
        """Look at all that the process depends on, and say what must be done about what is missing."""
        given, name = self._given, self._given.name
        if name in WITH_BLOBS:
            await asyncio.to_thread(_check_folder, given.blob_folder)
        identity = None
        if name in SERVICES:
            identity = await check_database(name, given.database_url, node_id=given.node_id)
        await check_broker(name, given.broker_url, node_id=given.node_id, identity=identity)
        return identity

    async def _take_place(self, stack: AsyncExitStack) -> None:
        given, alone = self._given, self._given.name in ALONE
        line = Line(given.name, given.database_url, alone=alone)
        stack.push_async_callback(line.close)
        await line.open(_TAKE_OVER_SECONDS)
        self._holds["database"] = line.holds
        if alone:
            place = Place(given.name, given.broker_url)
            stack.push_async_callback(place.leave)
            await place.take(_TAKE_OVER_SECONDS)
            self._holds["place on the broker"] = place.holds

    async def _watch(self) -> None:
        """
        Keep what readiness tells up to date.

        Raises:
            NodeError: A second copy has taken the place of a process that may run once only.
        """
        loop = asyncio.get_running_loop()
        lost_at: float | None = None
        while True:
            self._readiness.tell("broker", self._bus.missing)
            held = [await self._look(part, holds) for part, holds in self._holds.items()]
            if all(held):
                lost_at = None
            elif lost_at is None:
                lost_at = loop.time()
            elif loop.time() - lost_at > _TAKE_OVER_SECONDS:
                raise NodeError(
                    f"Another {self._given.name} has taken over while this one was cut off.",
                    remedy=f"Nothing, if that was meant; a node has exactly one {self._given.name}.",
                )
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self, part: str, holds: Callable[[], Awaitable[bool]]) -> bool:
        """Look at what we hold; false where another has it, which after a cut may be our own former self."""
        sentence = ""
        held = True
        try:
            held = await holds()
            sentence = "" if held else f"another {self._given.name} has the place"
        except (NodeError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            sentence = f"does not answer: {error.problem if isinstance(error, NodeError) else type(error).__name__}"
        self._readiness.tell(part, sentence)
        return held


def _result_of(starting: asyncio.Future[None]) -> None:
    try:
        starting.result()
    except BrokerRefused as error:
        raise NodeError(error.problem, remedy=error.remedy) from error


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"axis")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise NodeError(
            f"Packets cannot be written to {folder}: {error.strerror}.",
            remedy="Give the account of this process the right to write there, make room, or mend AXIS_BLOB_FOLDER.",
        ) from error
