"""The order in which a Java hash map gives its keys, since that is the order in which clients write parameters."""

from collections.abc import Iterable

_FIRST_BUCKETS = 16
_LOAD = 0.75


def in_java_order(names: Iterable[str]) -> list[str]:
    """
    Put names, given in the order they were first put into the map, into the order the map gives them.
    """
    inserted = list(dict.fromkeys(names))
    buckets = _FIRST_BUCKETS
    while len(inserted) > buckets * _LOAD:
        buckets *= 2
    return sorted(inserted, key=lambda name: _spread(name) & (buckets - 1))


def _spread(name: str) -> int:
    code = 0
    for letter in name:
        code = (31 * code + ord(letter)) & 0xFFFFFFFF
    return code ^ (code >> 16)
