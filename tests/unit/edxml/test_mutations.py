import contextlib
import random
from collections.abc import Callable

import pytest

from shared.edxml import Packet
from shared.errors import Rejected
from shared.testing.packets import a_packet, a_pdf, a_status_packet

SIGNATURE = (
    b'<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo></ds:SignedInfo></ds:Signature>'
)
SEEDS = [
    a_packet(files=[("a.pdf", a_pdf()), ("b.txt", b"text " * 40)], seal=lambda _: SIGNATURE),
    a_status_packet(),
]
PIECES = [b"<", b">", b"&", b"</", b"\x00", b"\xff", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?x?>", b"'", b'"', b"="]


def mutated(octets: bytes, chance: random.Random) -> bytes:
    changed = bytearray(octets)
    for _ in range(chance.randint(1, 3)):
        at, other = chance.randrange(len(changed)), chance.randrange(len(changed))
        start, end = min(at, other), max(at, other)
        match chance.randrange(6):
            case 0:
                changed[at] = chance.randrange(256)
            case 1:
                del changed[at : at + chance.randint(1, 20)]
            case 2:
                changed[at:at] = chance.choice(PIECES)
            case 3:
                changed[at:at] = changed[start : min(end, start + 400)]
            case 4:
                del changed[start : min(end, start + 400)]
            case _:
                tags = [b"edXML:To", b"ContentTransferEncoded", b"Id=", b"cid:", b"edXML:Subject", b"Attachment>"]
                changed = bytearray(
                    bytes(changed).replace(chance.choice(tags), chance.choice(tags), chance.randint(1, 3))
                )
        if not changed:
            break
    return bytes(changed)


@pytest.mark.parametrize("seed", SEEDS, ids=["document", "status"])
def test_a_damaged_packet_is_read_or_refused_and_never_breaks_the_reader(
    read: Callable[..., Packet], seed: bytes
) -> None:
    chance = random.Random(102)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(300):
        octets = mutated(seed, chance)
        with contextlib.suppress(Rejected):
            outcomes["refused"] += 1
            packet = read(octets)
            assert Packet.model_validate(packet.to_json()) == packet
            outcomes["read"] += 1
            outcomes["refused"] -= 1
    assert min(outcomes.values()) > 0
