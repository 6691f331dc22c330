"""The header is there before the attachments are."""

from collections.abc import Iterator

import pytest

from shared.edxml import FINDING_SENTENCES, MessageHeader, StatusReport, read_header
from shared.edxml.early import MAX_HEADER_BYTES
from shared.errors import Rejected
from shared.testing.packets import a_header, a_packet, a_status_packet
from tests.unit.edxml.test_dialects import dotnet, small

PACKET = a_packet(header=a_header(subject="Hỏa tốc", priority=3), files=[("a.pdf", b"%PDF" * 100_000)])


class Line:
    """
    A packet that comes in pieces, and how much of it was taken.
    """

    def __init__(self, octets: bytes, size: int) -> None:
        self.taken = 0
        self._octets = octets
        self._size = size

    def __iter__(self) -> Iterator[bytes]:
        while self.taken < len(self._octets):
            piece = self._octets[self.taken : self.taken + self._size]
            self.taken += len(piece)
            yield piece


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_header_is_read_before_the_attachments_have_come(size: int) -> None:
    line = Line(PACKET, size)
    header = read_header(line)
    assert isinstance(header, MessageHeader)
    assert (header.subject, header.priority) == ("Hỏa tốc", 3)
    assert line.taken <= PACKET.index(b"</edXML:edXMLHeader>") + len(b"</edXML:edXMLHeader>") + size


@pytest.mark.parametrize("octets", [small(), dotnet()], ids=["java", "dotnet"])
def test_the_header_of_every_dialect_is_read(octets: bytes) -> None:
    header = read_header(Line(octets, 100))
    assert isinstance(header, MessageHeader)
    assert header.subject == "V/v mẫu"


def test_a_status_package_is_known_by_its_header() -> None:
    status = read_header([a_status_packet(code="06")])
    assert isinstance(status, StatusReport)
    assert status.code == "06"


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (PACKET[:1500], "not-xml"),
        (b"%PDF", "not-xml"),
        (b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">', "old-format"),
        (b"<edXML>", "namespace-wrong"),
        (b"<!DOCTYPE edXML []>" + PACKET, "doctype-refused"),
        (PACKET.replace(b"Priority>3", b"Priority>9"), "value-invalid"),
        (PACKET.replace(b"<edXML:Subject>", b"<a>" * 100 + b"<edXML:Subject>"), "limit-exceeded"),
        (PACKET.replace(b"<edXML:Subject>", b" " * 2 * MAX_HEADER_BYTES + b"<edXML:Subject>"), "limit-exceeded"),
    ],
)
def test_a_header_that_cannot_be_taken_is_refused(octets: bytes, code: str) -> None:
    with pytest.raises(Rejected) as caught:
        read_header(Line(octets, 65_536))
    assert [error.code for error in caught.value.errors] == [code]
    assert code in FINDING_SENTENCES
