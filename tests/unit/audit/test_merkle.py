"""The tree against the definitions of RFC 9162 section 2.1, written out naively, and against published roots."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit.domain import (
    EMPTY_ROOT,
    Place,
    Span,
    consistency_spans,
    grow,
    hash_leaf,
    hash_span,
    includes,
    inclusion_spans,
    is_consistent,
    places_of,
    write_leaf,
)

LARGEST = 200

# The eight leaves of the reference implementation of Certificate Transparency, and the roots of its trees.
KNOWN_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
KNOWN_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive_root(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = naive_split(len(leaves))
    return hashlib.sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def naive_inclusion(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    split = naive_split(len(leaves))
    if index < split:
        return [*naive_inclusion(index, leaves[:split]), naive_root(leaves[split:])]
    return [*naive_inclusion(index - split, leaves[split:]), naive_root(leaves[:split])]


def naive_consistency(first: int, leaves: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    if first == len(leaves):
        return [] if whole else [naive_root(leaves)]
    split = naive_split(len(leaves))
    if first <= split:
        return [*naive_consistency(first, leaves[:split], whole=whole), naive_root(leaves[split:])]
    return [*naive_consistency(first - split, leaves[split:], whole=False), naive_root(leaves[:split])]


def naive_split(count: int) -> int:
    split = 1
    while split * 2 < count:
        split *= 2
    return split


def grown(leaves: Sequence[bytes]) -> dict[Place, bytes]:
    hashes: dict[Place, bytes] = {}
    for size, leaf in enumerate(leaves):
        grow(size, hash_leaf(leaf), hashes)
    return hashes


LEAVES = [f"leaf {number}".encode() for number in range(LARGEST)]
HASHES = grown(LEAVES)
ROOTS = [hash_span(Span(0, size), HASHES) for size in range(LARGEST + 1)]
sizes = st.integers(1, LARGEST)


def prove(spans: list[Span]) -> list[bytes]:
    needed = {place: HASHES[place] for place in places_of(spans)}
    return [hash_span(span, needed) for span in spans]


def test_roots_are_those_of_the_definition_at_every_size() -> None:
    assert [naive_root(LEAVES[:size]) for size in range(LARGEST + 1)] == ROOTS


def test_roots_are_those_published_with_the_reference_implementation() -> None:
    hashes = grown(KNOWN_LEAVES)
    assert [hash_span(Span(0, size), hashes).hex() for size in range(1, 9)] == KNOWN_ROOTS


def test_the_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert hash_span(Span(0, 0), {}) == EMPTY_ROOT == hashlib.sha256(b"").digest()


def test_a_tree_keeps_fewer_than_two_hashes_a_leaf() -> None:
    assert len(HASHES) < 2 * LARGEST


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 100, 127, 128, 129, LARGEST])
def test_every_leaf_is_proved_to_be_included(size: int) -> None:
    for index in range(size):
        path = prove(inclusion_spans(index, size))
        assert path == naive_inclusion(index, LEAVES[:size])
        assert includes(hash_leaf(LEAVES[index]), index, size, path, ROOTS[size])


@pytest.mark.parametrize("second", [1, 2, 3, 7, 8, 9, 100, 127, 128, 129, LARGEST])
def test_every_earlier_size_is_proved_to_be_consistent(second: int) -> None:
    for first in range(1, second + 1):
        path = prove(consistency_spans(first, second))
        assert path == naive_consistency(first, LEAVES[:second])
        assert is_consistent(first, ROOTS[first], second, ROOTS[second], path)


@given(st.data())
def test_proofs_are_those_of_the_definition_at_any_size(data: st.DataObject) -> None:
    size = data.draw(sizes)
    index, first = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    assert prove(inclusion_spans(index, size)) == naive_inclusion(index, LEAVES[:size])
    assert prove(consistency_spans(first, size)) == naive_consistency(first, LEAVES[:size])


def test_proofs_read_few_hashes() -> None:
    # A path has at most 8 steps below 256 leaves; the incomplete right edge costs at most 8 more.
    assert max(len(places_of(inclusion_spans(index, LARGEST))) for index in range(LARGEST)) <= 16
    assert max(len(places_of(consistency_spans(first, LARGEST))) for first in range(1, LARGEST)) <= 16


@given(st.data())
def test_an_inclusion_proof_of_something_else_is_refused(data: st.DataObject) -> None:
    size = data.draw(sizes)
    index = data.draw(st.integers(0, size - 1))
    path = prove(inclusion_spans(index, size))
    leaf, root = hash_leaf(LEAVES[index]), ROOTS[size]
    other = data.draw(st.integers(0, size - 1).filter(lambda number: number != index)) if size > 1 else size
    assert not includes(leaf, other, size, path, root)
    assert not includes(hash_leaf(b"forged"), index, size, path, root)
    assert not includes(leaf, index, size, path, hash_leaf(b"forged"))
    assert not includes(leaf, index, size, [*path, root], root)
    if path:
        assert not includes(leaf, index, size, path[:-1], root)
        place = data.draw(st.integers(0, len(path) - 1))
        assert not includes(leaf, index, size, [*path[:place], hash_leaf(b"forged"), *path[place + 1 :]], root)


@given(st.data())
def test_a_consistency_proof_of_something_else_is_refused(data: st.DataObject) -> None:
    second = data.draw(sizes)
    first = data.draw(st.integers(1, second))
    path = prove(consistency_spans(first, second))
    forged = hash_leaf(b"forged")
    assert not is_consistent(first, forged, second, ROOTS[second], path)
    assert not is_consistent(first, ROOTS[first], second, forged, path)
    assert not is_consistent(first, ROOTS[first], second, ROOTS[second], [*path, forged])
    assert not is_consistent(second + 1, ROOTS[first], second, ROOTS[second], path)
    if path:
        assert not is_consistent(first, ROOTS[first], second, ROOTS[second], path[:-1])
        place = data.draw(st.integers(0, len(path) - 1))
        altered = [*path[:place], forged, *path[place + 1 :]]
        assert not is_consistent(first, ROOTS[first], second, ROOTS[second], altered)


def test_a_rewritten_leaf_breaks_consistency() -> None:
    rewritten = [*LEAVES]
    rewritten[5] = b"rewritten"
    path = naive_consistency(100, rewritten)
    assert not is_consistent(100, ROOTS[100], LARGEST, naive_root(rewritten), path)


def test_a_leaf_is_canonical_json_with_the_values_that_travelled() -> None:
    event_id = UUID("0192d3f0-0000-7000-8000-000000000001")
    time = datetime(2024, 12, 31, 17, 0, 0, 5, UTC)
    leaf = write_leaf(event_id, "routing.x.v1", "routing", time, '{"z": [1, 2.50], "a": "văn bản", "n": null}')
    assert leaf.text == (
        '{"data":{"a":"văn bản","n":null,"z":[1,2.5]},"id":"0192d3f0-0000-7000-8000-000000000001",'
        '"source":"routing","time":"2024-12-31T17:00:00.000005+00:00","type":"routing.x.v1"}'
    )
    assert leaf.hash == hashlib.sha256(b"\x00" + leaf.text.encode()).digest()
    assert json.loads(leaf.text)["data"]["a"] == "văn bản"


def test_data_without_a_canonical_form_is_refused() -> None:
    for data in ('{"n": 9007199254740993000}', '{"s": "\\ud800"}', "{"):
        with pytest.raises(ValueError, match=r".+"):
            write_leaf(UUID(int=1), "x", "x", datetime(2025, 1, 1, tzinfo=UTC), data)
