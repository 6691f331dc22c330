"""Exchanges, queues, users and least rights, as the contracts demand them."""

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shared.contracts import routing
from shared.contracts.registry import WebhooksChanged
from shared.messaging.port import EVERY_TOPIC
from shared.messaging.rabbitmq.names import (
    again_exchange,
    answers_exchange,
    answers_prefix,
    ask_key,
    ask_queue,
    asks_exchange,
    dead_exchange,
    dead_queue,
    event_queue,
    events_exchange,
    hints_exchange,
    hints_prefix,
)

VHOST: Final = "axis"
DELIVERY_LIMIT = 50
"""The last guard only: poison is counted by the consumer, in its own database, and far earlier."""

MAX_EVENT_MESSAGES = 10_000
"""Per queue, each of up to 64 events. When it is full the broker refuses, and the events stay in the outbox."""

MAX_ASK_MESSAGES = 2_000
"""Per queue. More than a service can answer within any deadline; beyond it the asker hears at once."""

MAX_HINT_MESSAGES = 1_000
"""Per listener; older hints go first, for they may all be lost."""


@dataclass(frozen=True)
class Party:
    """
    One kind of process on the bus: what it does there, and so what it may do.

    Attributes:
        name: Of the process, of its RabbitMQ user, and the prefix of its operations and topics.
        asks: Services whose operations it asks.
        consumes: Topics it consumes; `*` is every topic of everyone.
        hears: Parties whose hints it hears.
        answers: It answers asks.
        publishes: It publishes events.
        hints: It gives hints.
    """

    name: str
    asks: Sequence[str] = ()
    consumes: Sequence[str] = ()
    hears: Sequence[str] = ()
    answers: bool = True
    publishes: bool = True
    hints: bool = False


@dataclass(frozen=True)
class Exchange:
    """
    A place to publish to.
    """

    name: str
    kind: str


@dataclass(frozen=True)
class Queue:
    """
    A queue and where it is bound.

    Attributes:
        name: Of the queue.
        durable: Survives the broker.
        arguments: As RabbitMQ calls them.
        bindings: Pairs of exchange and routing key.
    """

    name: str
    durable: bool
    arguments: Mapping[str, Any]
    bindings: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Rights:
    """
    Regular expressions over the names of exchanges and queues.
    """

    configure: str
    write: str
    read: str


@dataclass(frozen=True)
class Topology:
    """
    Everything on the broker, derived from who is there.

    Exchanges: `ask.<service>` takes asks, `answer.<asker>` their answers, `event.<publisher>` events, `hint.<party>`
    hints; `again.<consumer>` leads back to that consumer's own queues, `dead.<consumer>` to its queue of last resort.
    Queues have names of their own (`asks.<service>`), so that a right over one is never a right over the other.
    """

    parties: Mapping[str, Party] = field(default_factory=dict)

    @classmethod
    def of(cls, parties: Iterable[Party]) -> "Topology":
        """
        Make one of these parties.
        """
        return cls({party.name: party for party in parties})

    def publishers(self, topic: str) -> list[str]:
        """
        Who publishes a topic.
        """
        if topic == EVERY_TOPIC:
            return [party.name for party in self.parties.values() if party.publishes]
        return [topic.partition(".")[0]]

    def exchanges(self) -> list[Exchange]:
        """
        All exchanges, durable each.
        """
        found = []
        for party in self.parties.values():
            if party.answers:
                found.append(Exchange(asks_exchange(party.name), "direct"))
            if party.asks:
                found.append(Exchange(answers_exchange(party.name), "direct"))
            if party.publishes:
                found.append(Exchange(events_exchange(party.name), "topic"))
            if party.consumes:
                found += [Exchange(again_exchange(party.name), "direct"), Exchange(dead_exchange(party.name), "fanout")]
            if party.hints:
                found.append(Exchange(hints_exchange(party.name), "fanout"))
        return found

    def exchanges_of(self, name: str) -> list[str]:
        """
        The exchanges a party writes to or binds its queues to.
        """
        rights = self.rights(name)
        patterns = re.compile(rights.write), re.compile(rights.read)
        return [exchange.name for exchange in self.exchanges() if any(p.match(exchange.name) for p in patterns)]

    def ask_queues(self, name: str) -> list[Queue]:
        """
        The two transient queues of a service: asks end by their deadlines anyway, so none survives the broker.
        """
        arguments = {"x-max-length": MAX_ASK_MESSAGES, "x-overflow": "reject-publish"}
        return [
            Queue(
                ask_queue(name, urgent=urgent),
                durable=False,
                arguments=arguments,
                bindings=[(asks_exchange(name), ask_key(urgent=urgent))],
            )
            for urgent in (False, True)
        ]

    def event_queues(self, name: str) -> list[Queue]:
        """
        One quorum queue per topic a party consumes.
        """
        arguments = {
            "x-queue-type": "quorum",
            "x-overflow": "reject-publish",
            "x-max-length": MAX_EVENT_MESSAGES,
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-exchange": dead_exchange(name),
            "x-dead-letter-strategy": "at-least-once",
        }
        queues = []
        for topic in self.parties[name].consumes:
            queue = event_queue(name, topic)
            bindings = [
                (events_exchange(publisher), "#" if topic == EVERY_TOPIC else topic)
                for publisher in self.publishers(topic)
            ]
            queues.append(
                Queue(queue, durable=True, arguments=arguments, bindings=[*bindings, (again_exchange(name), queue)])
            )
        return queues

    def dead_queues(self, name: str) -> list[Queue]:
        """
        The queue of last resort of a party that consumes.
        """
        if not self.parties[name].consumes:
            return []
        bindings = [(dead_exchange(name), "")]
        return [Queue(dead_queue(name), durable=True, arguments={"x-queue-type": "quorum"}, bindings=bindings)]

    def rights(self, name: str) -> Rights:
        """
        The least a party needs: its own queues, and the exchanges it writes to or binds its queues to.
        """
        party = self.parties[name]
        own = []
        if party.answers:
            own += [queue.name for queue in self.ask_queues(name)]
        own += [queue.name for queue in self.event_queues(name)]
        passing = []
        write = [asks_exchange(service) for service in party.asks]
        read = []
        if party.asks:
            passing.append(answers_prefix(name))
            read.append(answers_exchange(name))
        if party.answers:
            askers = [other.name for other in self.parties.values() if name in other.asks]
            write += [answers_exchange(asker) for asker in askers]
            read.append(asks_exchange(name))
        if party.publishes:
            write.append(events_exchange(name))
        if party.consumes:
            write += [again_exchange(name), dead_exchange(name)]
            read.append(again_exchange(name))
            read += [events_exchange(publisher) for topic in party.consumes for publisher in self.publishers(topic)]
        if party.hints:
            write.append(hints_exchange(name))
        if party.hears:
            passing.append(hints_prefix(name))
            read += [hints_exchange(other) for other in party.hears]
        return Rights(
            configure=_pattern(own, passing),
            write=_pattern([*own, *write], passing),
            read=_pattern([*own, *read], passing),
        )

    def definitions(self, password_hashes: Mapping[str, str], *, vhost: str = VHOST) -> dict[str, Any]:
        """
        The same as a broker loads it at its start (`load_definitions`).

        Args:
            password_hashes: User to hash, see `hash_password`; every party must be there. Users that are no party
                become administrators of this virtual host.
            vhost: Virtual host to make.

        Raises:
            KeyError: A party has no hash.
        """
        users: list[dict[str, Any]] = []
        permissions = []
        for name in [*self.parties, *(set(password_hashes) - set(self.parties))]:
            is_party = name in self.parties
            rights = self.rights(name) if is_party else Rights(".*", ".*", ".*")
            users.append(
                {
                    "name": name,
                    "password_hash": password_hashes[name],
                    "hashing_algorithm": "rabbit_password_hashing_sha256",
                    "tags": [] if is_party else ["administrator"],
                    "limits": {},
                }
            )
            permissions.append(
                {
                    "user": name,
                    "vhost": vhost,
                    "configure": rights.configure,
                    "write": rights.write,
                    "read": rights.read,
                }
            )
        lasting = [queue for name in self.parties for queue in (*self.dead_queues(name), *self.event_queues(name))]
        return {
            "vhosts": [{"name": vhost}],
            "users": users,
            "permissions": permissions,
            "exchanges": [
                {
                    "name": exchange.name,
                    "vhost": vhost,
                    "type": exchange.kind,
                    "durable": True,
                    "auto_delete": False,
                    "internal": False,
                    "arguments": {},
                }
                for exchange in self.exchanges()
            ],
            "queues": [
                {
                    "name": queue.name,
                    "vhost": vhost,
                    "durable": True,
                    "auto_delete": False,
                    "arguments": dict(queue.arguments),
                }
                for queue in lasting
            ],
            "bindings": [
                {
                    "source": exchange,
                    "vhost": vhost,
                    "destination": queue.name,
                    "destination_type": "queue",
                    "routing_key": key,
                    "arguments": {},
                }
                for queue in lasting
                for exchange, key in queue.bindings
            ],
        }


def hash_password(password: str) -> str:
    """
    Hash a password as RabbitMQ stores it: four bytes of salt, then SHA-256 of salt and password, in base64.
    """
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _pattern(names: Iterable[str], prefixes: Iterable[str]) -> str:
    words = [f"{re.escape(name)}$" for name in sorted(set(names))]
    words += [re.escape(prefix) for prefix in sorted(set(prefixes))]
    return f"^({'|'.join(words)})" if words else "^$"


AXIS: Final = Topology.of(
    [
        Party(
            "gateway",
            asks=("registry", "signing", "routing", "delivery", "audit"),
            hears=("routing",),
            answers=False,
            publishes=False,
        ),
        Party("registry", asks=("signing",), hints=True),
        Party("signing"),
        Party(
            "routing",
            asks=("registry", "signing"),
            consumes=tuple(kind.topic for kind in routing.CHUNK_READY.values()),
            hears=("registry",),
            hints=True,
        ),
        Party(
            "delivery",
            asks=("registry", "signing"),
            consumes=(routing.DeliveriesChanged.topic, routing.StatusesReported.topic, WebhooksChanged.topic),
            hears=("registry",),
        ),
        Party("audit", asks=("signing",), consumes=(EVERY_TOPIC,), publishes=False),
    ]
)
"""The parties of this release."""
