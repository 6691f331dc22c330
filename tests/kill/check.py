"""Holds the database against the promises, and against what every client wrote down."""

import asyncio
import hashlib
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import aiormq
import asyncpg
from cryptography import x509

from services.routing.domain.deliveries import EVIDENCE_EVENTS
from shared.contracts.routing import DeliveryState
from shared.jose import EVIDENCE, BadStatement, verify_with_chain
from shared.messaging.rabbitmq.topology import AXIS
from shared.testing.invariants import check_ends, check_invariants, look_for_what_has_not_arrived
from tests.kill.deployment import Deployment
from tests.kill.load import Load
from tests.kill.notes import Ledger

SETTLE_SECONDS: Final = 120.0
_SHOWN: Final = 5
_VERIFIED: Final = 500


async def snapshot(deployment: Deployment) -> list[str]:
    """
    Check invariants 1 to 4 in the middle of everything.
    """
    connection = await asyncpg.connect(deployment.database)
    try:
        return await check_invariants(connection)
    finally:
        await connection.close()


async def settle(deployment: Deployment, load: Load) -> None:
    """
    Wait until every addressee has everything, and every event has reached everyone it is for.

    Raises:
        AssertionError: Something never arrives.
    """
    await load.until(lambda ledger: not ledger.missing, SETTLE_SECONDS, "get everything")
    await deployment.until_whole()
    end = time.monotonic() + SETTLE_SECONDS
    connection = await asyncpg.connect(deployment.database)
    try:
        while left := await look_for_what_has_not_arrived(connection) or await _queued(deployment):
            if time.monotonic() > end:
                raise AssertionError(f"this does not arrive in {SETTLE_SECONDS:.0f} s: {left}\n{deployment.tail()}")
            await asyncio.sleep(0.5)
    finally:
        await connection.close()


async def check(deployment: Deployment, load: Load) -> list[str]:
    """
    Check everything once it has settled.

    Returns:
        A sentence for each promise that is broken.
    """
    connection = await asyncpg.connect(deployment.database)
    try:
        return [
            *await check_invariants(connection),
            *await check_ends(connection),
            *await _check_journal(connection),
            *await _check_evidence(connection, load.anchors),
            *await _check_notes(connection, load.ledger),
            *await _queued(deployment, dead=True),
        ]
    finally:
        await connection.close()


async def _check_notes(connection: asyncpg.Connection, ledger: Ledger) -> list[str]:
    documents = await connection.fetch(
        """
        SELECT doc.packet_sha256, doc.id::text, encode(sha256(convert_to(x.body, 'UTF8')), 'hex')
        FROM routing.documents doc JOIN routing.dispatches x ON x.document_id = doc.id
        """
    )
    stored = {tuple(row) for row in documents}
    noted = {(sha256, sent.document_id, sent.receipt) for sha256, sent in ledger.sent.items()}
    rows = await connection.fetch("SELECT id::text, document_id::text, state FROM routing.deliveries")
    deliveries = {(delivery, document, state) for delivery, document, state in rows}
    states = {"done": "delivered", "fail": "failed", None: "not acknowledged"}
    taken = {(delivery, one.document_id, states[one.result]) for delivery, one in ledger.taken.items()}
    return [
        *ledger.faults,
        *_say("accepted, but nobody can take it", ledger.missing),
        *_say("posted, but without an answer", ledger.unanswered()),
        *_say("received, but nobody sent it there", ledger.strangers()),
        *_say("in the senders' notes, and not so in the database", noted - stored),
        *_say("in the database, and not so in the senders' notes", stored - noted),
        *_say("in the receivers' notes, and not so in the database", taken - deliveries),
        *_say("in the database, and not so in the receivers' notes", deliveries - taken),
    ]


async def _check_evidence(connection: asyncpg.Connection, anchors: Sequence[x509.Certificate]) -> list[str]:
    """Verify the newest evidence as a stranger would, with no more than the root certificates: first of what failed."""
    rows = await connection.fetch(
        """
        SELECT delivery_id::text, state, statement FROM routing.evidence
        ORDER BY state = 'failed' DESC, made_at DESC LIMIT $1
        """,
        _VERIFIED,
    )
    found = []
    for delivery_id, state, statement in rows:
        try:
            said = verify_with_chain(statement, typ=EVIDENCE, anchors=anchors, at=datetime.now(UTC))
        except BadStatement as bad:
            found.append(f"evidence of delivery {delivery_id}: {bad}")
        else:
            if (said["delivery_id"], said["event"]) != (delivery_id, EVIDENCE_EVENTS[DeliveryState(state)]):
                found.append(f"evidence of delivery {delivery_id} says something else: {said}")
    return found


async def _check_journal(connection: asyncpg.Connection) -> list[str]:
    """Make the tree of RFC 9162 anew from its leaves and hold it against the newest head."""
    head = await connection.fetchrow("SELECT tree_size, root_hash FROM audit.tree_heads ORDER BY number DESC LIMIT 1")
    if head is None:
        return []
    leaves = await connection.fetch(
        r"""
        SELECT sha256('\x00' || convert_to(leaf, 'UTF8')) FROM audit.leaves
        WHERE leaf_index < $1 ORDER BY leaf_index
        """,
        head["tree_size"],
    )
    root = await asyncio.to_thread(_root, [row[0] for row in leaves])
    return [] if root == head["root_hash"] else [f"the head of size {head['tree_size']} is not that of the leaves"]


def _root(hashes: Sequence[bytes]) -> bytes:
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    half = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + _root(hashes[:half]) + _root(hashes[half:])).digest()


async def _queued(deployment: Deployment, *, dead: bool = False) -> list[str]:
    """Look at what lies in the broker's lasting queues; in those of last resort, nothing ever may."""
    found = []
    for party in AXIS.parties:
        names = [queue.name for queue in (AXIS.dead_queues(party) if dead else AXIS.event_queues(party))]
        if not names:
            continue
        connection = await _connect(deployment.broker_url(party).split(","))
        try:
            channel = await connection.channel()
            for name in names:
                count = (await channel.queue_declare(name, passive=True)).message_count
                if count:
                    found.append(f"{count} messages lie in {name}")
        finally:
            await connection.close()
    return found


async def _connect(urls: Sequence[str]) -> Any:
    *others, last = urls
    for url in others:
        try:
            return await aiormq.connect(url)
        except (OSError, aiormq.exceptions.AMQPError):
            continue
    return await aiormq.connect(last)


def _say(what: str, found: Iterable[object]) -> list[str]:
    listed = list(found)
    return [f"{what}: {len(listed)}, such as {listed[:_SHOWN]}"] if listed else []
