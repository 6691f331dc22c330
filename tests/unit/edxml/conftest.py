import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.edxml import Packet, PacketLimits, read_packet
from shared.errors import Rejected

Read = Callable[..., Packet]
Refusal = Callable[..., Rejected]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    numbers = itertools.count()

    def read_octets(octets: bytes, limits: PacketLimits | None = None, **more: object) -> Packet:
        path = tmp_path / f"{next(numbers)}.edxml"
        path.write_bytes(octets)
        try:
            return read_packet(path, limits, **more)
        finally:
            path.unlink()

    return read_octets


@pytest.fixture
def refusal(read: Read) -> Refusal:
    def refused(octets: bytes, limits: PacketLimits | None = None) -> Rejected:
        with pytest.raises(Rejected) as caught:
            read(octets, limits)
        assert caught.value.errors
        assert all(error.detail and error.code for error in caught.value.errors)
        return caught.value

    return refused
