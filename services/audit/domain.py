"""
The Merkle tree of RFC 9162: what a leaf is, which hashes a proof needs, and how anyone checks one.

Every complete subtree has a fixed place (level, ordinal): it covers the leaves from ordinal·2^level to before
(ordinal+1)·2^level and never changes. Keeping just these hashes makes roots and proofs of every size a matter of
O(log n) reads.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import rfc8785

from shared.contracts.base import write_moment

EMPTY_ROOT = hashlib.sha256(b"").digest()


class Place(NamedTuple):
    """
    Where a complete subtree stands; level 0 holds the leaves.
    """

    level: int
    ordinal: int


class Span(NamedTuple):
    """
    Leaves from `start` to before `stop`, as the recursion of RFC 9162 splits them off.
    """

    start: int
    stop: int


Hashes = Mapping[Place, bytes]


@dataclass(frozen=True)
class Leaf:
    """
    One event, ready to be appended.

    Attributes:
        event_id: Identity of the event on the bus.
        text: RFC 8785 JSON of `id`, `type`, `source`, `time` and `data`.
    """

    event_id: UUID
    text: str

    @property
    def hash(self) -> bytes:
        return hash_leaf(self.text.encode())


def write_leaf(event_id: UUID, topic: str, source: str, time: datetime, data: str) -> Leaf:
    """
    Write an event as the leaf that stands for it, values exactly as they travelled.

    Args:
        event_id: Identity of the event on the bus.
        topic: Its type.
        source: Service that published it.
        time: When it was made, as it travelled.
        data: JSON text of the event.

    Raises:
        ValueError: The data has no canonical form.
    """
    event = {
        "id": str(event_id),
        "type": topic,
        "source": source,
        "time": time.isoformat(),
        "data": json.loads(data),
    }
    return Leaf(event_id, rfc8785.dumps(event).decode())


def head_payload(log_id: str, tree_size: int, root: bytes, time: datetime) -> dict[str, Any]:
    """
    Write what a signed tree head states.
    """
    return {"log_id": log_id, "tree_size": tree_size, "root_hash": root.hex(), "time": write_moment(time)}


def hash_leaf(leaf: bytes) -> bytes:
    """
    Hash a leaf (RFC 9162 section 2.1.1).
    """
    return hashlib.sha256(b"\x00" + leaf).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """
    Hash two subtrees into the one above them (RFC 9162 section 2.1.1).
    """
    return hashlib.sha256(b"\x01" + left + right).digest()


# --- growing ---------------------------------------------------------------------------------------------------------


def places(span: Span) -> list[Place]:
    """
    Name the complete subtrees that make up a span, largest first.
    """
    found, start = [], span.start
    for level in range((span.stop - span.start).bit_length() - 1, -1, -1):
        if (span.stop - span.start) >> level & 1:
            found.append(Place(level, start >> level))
            start += 1 << level
    return found


def grow(size: int, leaf_hash: bytes, hashes: MutableMapping[Place, bytes]) -> list[Place]:
    """
    Append a leaf to a tree.

    Args:
        size: Leaves there are already.
        leaf_hash: Hash of the new one.
        hashes: Holds at least the hashes at `places(Span(0, size))`; takes the new ones.

    Returns:
        The places of the subtrees that became complete, the leaf's own first.
    """
    place = Place(0, size)
    hashes[place] = leaf_hash
    completed = [place]
    while place.ordinal & 1:
        left = Place(place.level, place.ordinal - 1)
        above = Place(place.level + 1, place.ordinal >> 1)
        hashes[above] = hash_node(hashes[left], hashes[place])
        completed.append(above)
        place = above
    return completed


# --- roots and proofs ------------------------------------------------------------------------------------------------


def hash_span(span: Span, hashes: Hashes) -> bytes:
    """
    Give the Merkle tree hash over a span, from the hashes at `places(span)`.
    """
    parts = [hashes[place] for place in places(span)]
    if not parts:
        return EMPTY_ROOT
    root = parts.pop()
    while parts:
        root = hash_node(parts.pop(), root)
    return root


def inclusion_spans(index: int, size: int) -> list[Span]:
    """
    Name the spans whose hashes prove that a leaf is in a tree, nearest to the leaf first.

    Args:
        index: Number of the leaf, below `size`.
        size: Leaves in the tree.

    Source:
        RFC 9162 section 2.1.3.1.
    """
    path, whole = [], Span(0, size)
    while whole.stop - whole.start > 1:
        split = whole.start + _largest_power_below(whole.stop - whole.start)
        left, right = Span(whole.start, split), Span(split, whole.stop)
        whole, sibling = (left, right) if index < split else (right, left)
        path.append(sibling)
    return path[::-1]


def consistency_spans(first: int, second: int) -> list[Span]:
    """
    Name the spans whose hashes prove that a tree only appended to an earlier one.

    Args:
        first: Size of the earlier tree, at least 1.
        second: Size of the later one, not below `first`.

    Source:
        RFC 9162 section 2.1.4.1.
    """
    path, whole, from_first_leaf = [], Span(0, second), True
    while whole.stop != first:
        split = whole.start + _largest_power_below(whole.stop - whole.start)
        if first <= split:
            path.append(Span(split, whole.stop))
            whole = Span(whole.start, split)
        else:
            path.append(Span(whole.start, split))
            whole, from_first_leaf = Span(split, whole.stop), False
    if not from_first_leaf:
        path.append(whole)
    return path[::-1]


def places_of(spans: Iterable[Span]) -> list[Place]:
    """
    Name every place whose hash is needed for some spans.
    """
    return [place for span in spans for place in places(span)]


# --- checking, for whoever holds a signed head ------------------------------------------------------------------------


def includes(leaf_hash: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """
    Check an inclusion proof.

    Source:
        RFC 9162 section 2.1.3.2.
    """
    if not 0 <= index < size:
        return False
    node, last, computed = index, size - 1, leaf_hash
    for sibling in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            computed = hash_node(sibling, computed)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            computed = hash_node(computed, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and computed == root


def is_consistent(first: int, first_root: bytes, second: int, second_root: bytes, path: Sequence[bytes]) -> bool:
    """
    Check a consistency proof.

    Source:
        RFC 9162 section 2.1.4.2.
    """
    if not 1 <= first <= second:
        return False
    if first == second:
        return not path and first_root == second_root
    # A power of two is a complete subtree of the later tree: its own root is where the path begins.
    steps = list(path) if first & (first - 1) else [first_root, *path]
    if not steps:
        return False
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = steps[0]
    for sibling in steps[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = hash_node(sibling, old), hash_node(sibling, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = hash_node(new, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _largest_power_below(count: int) -> int:
    return 1 << ((count - 1).bit_length() - 1)
