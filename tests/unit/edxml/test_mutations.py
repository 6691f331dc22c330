"""
Whatever is done to the bytes of a packet, it is read or refused; nothing else.

`AXIS_MUTATIONS` says how many damaged packets are tried; a few thousand without it.
"""

import os
import random
import zipfile
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from typing import Final

import pytest

from shared.edxml import FINDING_SENTENCES, Business, BusinessDocumentInfo, Packet, PacketLimits, Receiver, Staff
from shared.errors import Rejected
from shared.testing.packets import a_packet, a_pdf, a_status_packet
from tests.unit.edxml.test_dialects import dotnet, small

SIGNATURE: Final = (
    b'<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo></ds:SignedInfo></ds:Signature>'
)
ARCHIVE: Final = BytesIO()
with zipfile.ZipFile(ARCHIVE, "w") as _archive:
    _archive.writestr("a.txt", b"text " * 20)
UPDATE: Final = Business(
    type=2,
    document_id="D-0",
    info=BusinessDocumentInfo(content_changed=True, receivers=(Receiver(organ_id="H43.31", receiver_type=1),)),
    staff=(Staff(department="VT"),),
)
SEEDS: Final = {
    "document": a_packet(files=[("a.pdf", a_pdf()), ("b.txt", b"text " * 40)], seal=lambda _: SIGNATURE),
    "update": a_packet(files=[], business=UPDATE),
    "status": a_status_packet(),
    "java": small(content=ARCHIVE.getvalue(), name="a.txt", content_type="application/zip"),
    "dotnet": dotnet(),
}
MUTATIONS: Final = int(os.environ.get("AXIS_MUTATIONS", "4000")) // len(SEEDS)
SMALL: Final = PacketLimits(max_content_bytes=100_000, max_elements=5_000, max_depth=20)
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


@pytest.mark.parametrize("name", SEEDS)
def test_a_damaged_packet_is_read_or_refused_and_never_breaks_the_reader(
    read: Callable[..., Packet], name: str
) -> None:
    # Another beginning for the long run, so that it does not only repeat the short one's packets.
    chance = random.Random(f"{name} {MUTATIONS}")
    outcomes: Counter[str] = Counter()
    for _ in range(MUTATIONS):
        octets = mutated(SEEDS[name], chance)
        try:
            packet = read(octets, SMALL)
        except Rejected as refusal:
            explained = {error.code for error in refusal.errors} <= set(FINDING_SENTENCES)
            outcomes["refused" if refusal.errors and explained else "refused without a word"] += 1
        else:
            assert Packet.model_validate(packet.to_json()) == packet
            outcomes["read"] += 1
    assert set(outcomes) == {"read", "refused"}


@pytest.mark.parametrize("name", SEEDS)
def test_a_packet_cut_off_anywhere_is_refused(refusal: Callable[..., Rejected], name: str) -> None:
    octets = SEEDS[name].rstrip()
    for end in range(0, len(octets) - 1, 37):
        assert refusal(octets[:end]).code == "packet-malformed"
