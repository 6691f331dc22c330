"""One life of the two connections: whatever breaks ends all of it, and the next one begins from nothing."""

import asyncio
import contextlib
import itertools
import logging
import math
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import aio_pika
import aiormq
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.abc import AbstractChannel as LowChannel
from aiormq.abc import DeliveredMessage
from aiormq.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ConnectionNotAllowed,
    DeliveryError,
    InvalidFrameError,
    ProbableAuthenticationError,
    PublishError,
)
from pamqp import commands
from yarl import URL

from shared.errors import Unavailable
from shared.messaging.item import Item, pack
from shared.messaging.rabbitmq import errors
from shared.messaging.rabbitmq.names import answers_exchange, answers_prefix, hints_exchange, hints_prefix
from shared.messaging.rabbitmq.topology import MAX_HINT_MESSAGES, Party, Queue, Topology

HEARTBEAT_SECONDS = 10
OPEN_SECONDS = 20
"""Everything is declared again within it, or the attempt is given up: a queue without a leader answers nothing."""

REFUSED_SECONDS = 3.0
"""A publish to a quorum queue that has no leader yet may leave the channel refused for good: after this a new one."""

PERSISTENT, TRANSIENT = 2, 1
HINT_LIFE_MS = "5000"
"""Whoever waits asks again after five seconds anyway."""

# The libraries write what went wrong at the broker's end in their own words, bodies of messages among them. Ours say
# it once and without contents.
for _name in ("aiormq", "aio_pika"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

OnMessage = Callable[[DeliveredMessage], None]


@dataclass(frozen=True)
class Consumption:
    """
    A queue of ours that is to be consumed.

    Attributes:
        queue: Declared and bound first.
        prefetch: Messages in hand at once.
        on_message: Takes one; must not block.
    """

    queue: Queue
    prefetch: int
    on_message: OnMessage


class Session:
    """
    Two connections and their channels, opened together.

    *In* only consumes and acknowledges: a broker short of memory stops reading connections that publish, and
    acknowledgements must not stop with them. *Out* publishes: asks, answers and events on channels of their own, so
    that one that breaks by asks does not take events along unnoticed.

    Args:
        url: Of the broker, with the party's user.
        party: Who we are.
        topology: What must be there.
    """

    def __init__(self, url: str, party: Party, topology: Topology) -> None:
        address = URL(url)
        self._url = address.update_query(heartbeat=address.query.get("heartbeat", str(HEARTBEAT_SECONDS)))
        self.where = f"{address.host}:{address.port or 5672}{address.path}"
        self.user = address.user or ""
        self._party = party
        self._topology = topology
        self.reply_key = secrets.token_hex(16)
        self.lost = asyncio.Event()
        self.why_lost = ""
        self._closing = False
        self._connections: list[AbstractConnection] = []
        self._in: AbstractConnection | None = None
        self._channels: dict[str, AbstractChannel] = {}
        self._out: dict[str, LowChannel] = {}
        self._consuming: list[tuple[LowChannel, str]] = []
        self._numbers = itertools.count()
        self._unconfirmed: dict[int, float] = {}
        self._refused_since: dict[tuple[str, str], float] = {}

    # --- opening ------------------------------------------------------------------------------------------------------

    async def open(self, on_answer: OnMessage, on_hint: OnMessage) -> None:
        """
        Connect, look whether everything is there, and be ready to ask, publish and hear.

        Raises:
            BrokerRefused: A person must change something first.
            Unavailable: Nobody answers, or not in time.
        """
        with self._in_words():
            async with asyncio.timeout(OPEN_SECONDS):
                publishing = await self._connect("out")
                consuming = self._in = await self._connect("in")
                await self._look(publishing)
                for kind in ("asks", "answers", "events"):
                    await self._channel(kind)
                await self._channel("hints", confirms=False)
                if self._party.asks:
                    await self._consume(consuming, Consumption(self._reply_queue(), 0, on_answer), exclusive=True)
                if self._party.hears:
                    await self._consume(consuming, Consumption(self._hint_queue(), 0, on_hint), exclusive=True)

    async def consume(self, consumptions: Sequence[Consumption]) -> None:
        """
        Declare queues of ours and begin to consume them.

        Raises:
            BrokerRefused: A person must change something first.
            Unavailable: Nobody answers, or not in time.
        """
        assert self._in is not None
        with self._in_words():
            async with asyncio.timeout(OPEN_SECONDS):
                for consumption in consumptions:
                    await self._consume(self._in, consumption)

    @contextlib.contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except (ProbableAuthenticationError, AuthenticationError) as error:
            raise errors.wrong_credentials(self.where, self.user) from error
        except (ConnectionNotAllowed, InvalidFrameError) as error:
            # The library takes a refused virtual host for a frame it did not expect.
            raise errors.no_vhost(self.where, self.user) from error
        except ChannelNotFoundEntity as error:
            raise errors.not_set_up(self.where, str(error)) from error
        except ChannelPreconditionFailed as error:
            raise errors.conflicting(self.where, str(error)) from error
        except ChannelAccessRefused as error:
            raise errors.no_rights(self.where, self.user, str(error)) from error
        except (OSError, TimeoutError, AMQPError, ChannelInvalidStateError, RuntimeError) as error:
            raise self._unreachable(str(error) or type(error).__name__) from error
        except asyncio.CancelledError:
            if _is_ours():
                raise
            raise self._unreachable("the connection broke") from None

    def _unreachable(self, words: str) -> Unavailable:
        return Unavailable(f"RabbitMQ at {self.where} cannot be reached: {words}")

    async def _connect(self, way: str) -> AbstractConnection:
        connection = aio_pika.Connection(self._url, client_properties={"connection_name": f"{self._party.name} {way}"})
        self._connections.append(connection)  # one that never comes about is closed like the others
        await connection.connect()
        connection.close_callbacks.add(self._on_close)
        return connection

    async def _look(self, connection: AbstractConnection) -> None:
        """Ask after every exchange we write to or bind to; one that is missing would only show much later."""
        channel = await connection.channel()
        for name in self._topology.exchanges_of(self._party.name):
            await channel.get_exchange(name, ensure=True)
        await channel.close()

    async def _channel(self, kind: str, *, confirms: bool = True) -> None:
        channel = await self._connections[0].channel(publisher_confirms=confirms, on_return_raises=confirms)
        channel.close_callbacks.add(self._on_close)
        self._channels[kind] = channel
        self._out[kind] = await channel.get_underlay_channel()

    async def _consume(
        self, connection: AbstractConnection, consumption: Consumption, *, exclusive: bool = False
    ) -> None:
        queue = consumption.queue
        channel = await connection.channel(publisher_confirms=False)
        channel.close_callbacks.add(self._on_close)
        self._channels[queue.name] = channel
        declared = await channel.declare_queue(
            queue.name,
            durable=queue.durable,
            exclusive=exclusive,
            auto_delete=exclusive,
            arguments=dict(queue.arguments),
        )
        for exchange, key in queue.bindings:
            await declared.bind(exchange, key)
        await channel.set_qos(prefetch_count=consumption.prefetch)
        low = await channel.get_underlay_channel()
        low.on_consumer_cancel_callbacks.add(lambda _: self.lose(f"the broker took {queue.name} away"))
        started = await low.basic_consume(
            queue.name, _as_coroutine(consumption.on_message), no_ack=consumption.prefetch == 0
        )
        if consumption.prefetch and started.consumer_tag is not None:
            self._consuming.append((low, started.consumer_tag))

    def _reply_queue(self) -> Queue:
        name = self._party.name
        return Queue(
            f"{answers_prefix(name)}{self.reply_key}",
            durable=False,
            arguments={},
            bindings=[(answers_exchange(name), self.reply_key)],
        )

    def _hint_queue(self) -> Queue:
        return Queue(
            f"{hints_prefix(self._party.name)}{self.reply_key}",
            durable=False,
            arguments={"x-max-length": MAX_HINT_MESSAGES},
            bindings=[(hints_exchange(publisher), "") for publisher in self._party.hears],
        )

    # --- publishing ---------------------------------------------------------------------------------------------------

    async def publish(
        self,
        kind: str,
        items: Sequence[Item],
        exchange: str,
        key: str,
        *,
        mandatory: bool = False,
        persistent: bool = False,
        expires_ms: int | None = None,
    ) -> None:
        """
        Publish items as one message and wait for the broker's confirm.

        Raises:
            Unavailable: It was returned, refused, or the connection broke; it may have arrived in the last case.
        """
        properties = commands.Basic.Properties(
            content_type="application/json",
            delivery_mode=PERSISTENT if persistent else TRANSIENT,
            user_id=self.user,  # checked by the broker: nobody speaks for another party
            reply_to=self.reply_key if kind == "asks" else None,
            expiration=str(max(1, expires_ms)) if expires_ms is not None else None,
        )
        number = next(self._numbers)
        self._unconfirmed[number] = asyncio.get_running_loop().time()
        try:
            await self._out[kind].basic_publish(
                pack(items), exchange=exchange, routing_key=key, properties=properties, mandatory=mandatory
            )
        except PublishError as error:
            raise Unavailable(f"nobody takes {items[0].type}") from error
        except DeliveryError as error:
            if kind == "events":
                self._refused_since.setdefault((exchange, key), asyncio.get_running_loop().time())
            raise Unavailable(f"the broker refuses {items[0].type} for now", retry_after=2) from error
        except (AMQPError, ChannelInvalidStateError, OSError, RuntimeError) as error:
            raise Unavailable(f"the connection to the broker broke ({type(error).__name__})") from error
        except asyncio.CancelledError:
            if _is_ours():
                raise
            raise Unavailable("the connection to the broker broke") from None
        else:
            self._refused_since.pop((exchange, key), None)
        finally:
            del self._unconfirmed[number]

    async def renew_refused(self) -> None:
        """
        Publish events over a new channel once the broker has refused those of some topic for a while.

        The broker keeps what it knows of a quorum queue by channel. A channel whose first message to a queue came while
        the queue elected a leader is refused for ever (seen with 3.10), as if the queue were full. A queue that is
        really full refuses the new channel too. What was under way on the old one is unsettled, so comes again.

        Raises:
            Unavailable: Nobody answers, or not in time.
        """
        oldest = min(self._refused_since.values(), default=math.inf)
        if asyncio.get_running_loop().time() - oldest < REFUSED_SECONDS:
            return
        self._refused_since.clear()
        refused = self._channels["events"]
        with self._in_words():
            async with asyncio.timeout(OPEN_SECONDS):
                await self._channel("events")
                await refused.close()

    async def hint(self, item: Item) -> None:
        """
        Tell everyone who listens; nothing is confirmed and nothing raised.
        """
        properties = commands.Basic.Properties(delivery_mode=TRANSIENT, user_id=self.user, expiration=HINT_LIFE_MS)
        exchange = hints_exchange(self._party.name)
        with contextlib.suppress(AMQPError, ChannelInvalidStateError, OSError, RuntimeError):
            await self._out["hints"].basic_publish(pack([item]), exchange=exchange, properties=properties)

    def unconfirmed_for(self) -> float:
        """
        How long the oldest message waits for its confirm, in seconds; 0 when none does.
        """
        oldest = next(iter(self._unconfirmed.values()), None)
        return 0.0 if oldest is None else asyncio.get_running_loop().time() - oldest

    async def is_alarmed(self) -> bool:
        """
        Tell whether the broker has said that it takes nothing for now (memory or disk).
        """
        transport = self._connections[0].transport
        if transport is None:
            return False
        low: aiormq.Connection = transport.connection  # type: ignore[assignment]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await low.ready()
                return False
        return True

    # --- ending -------------------------------------------------------------------------------------------------------

    def lose(self, why: str) -> None:
        """
        Declare this session over.
        """
        if not self.lost.is_set():
            self.why_lost = why
            self.lost.set()

    async def stop_consuming(self) -> None:
        """
        Take no more asks and events; answers still come.
        """
        consuming, self._consuming = self._consuming, []
        for channel, tag in consuming:
            with contextlib.suppress(AMQPError, ChannelInvalidStateError, OSError, RuntimeError, TimeoutError):
                await channel.basic_cancel(tag, timeout=2)

    async def close(self) -> None:
        """
        Close both connections; the broker takes back what was not acknowledged.
        """
        self._closing = True
        self.lose("closed")
        for connection in self._connections:
            with contextlib.suppress(Exception):  # a broken connection has nothing to say about its end
                async with asyncio.timeout(2):
                    await connection.close()
            if not connection.is_closed:
                # What was cut short only has to be called closed, or the library tries again when it is collected:
                # on whatever loop there is by then.
                await connection.close()

    def _on_close(self, sender: AbstractConnection | AbstractChannel | Any, error: BaseException | None) -> None:
        if not self._closing and not (isinstance(sender, AbstractChannel) and error is None):
            self.lose(str(error) or type(error).__name__)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _is_ours() -> bool:
    """Tell a cancellation of this task from one by which the library ends what it had promised."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _as_coroutine(on_message: OnMessage) -> Callable[[DeliveredMessage], Any]:
    async def take(message: DeliveredMessage) -> None:
        on_message(message)

    return take
