import hashlib
from collections.abc import Callable, Sequence

import pytest

from shared.edxml import Packet, PartDigest
from shared.errors import Rejected
from shared.testing.packets import a_packet, a_pdf, a_status_packet

SIGNATURE = (
    b'<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo></ds:SignedInfo></ds:Signature>'
)
QCVN = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
HEADER_END = b"</edXML:edXMLHeader>"


def sealed(**more: object) -> bytes:
    return a_packet(files=[("a.pdf", a_pdf()), ("b.txt", b"text")], seal=lambda _: SIGNATURE, **more)


def test_the_parts_are_header_business_manifest_and_every_attachment(read: Callable[..., Packet]) -> None:
    seen: list[PartDigest] = []

    def seal(parts: Sequence[PartDigest]) -> bytes:
        seen.extend(parts)
        return SIGNATURE

    packet = read(a_packet(files=[("a.pdf", a_pdf()), ("b.txt", b"text")], seal=seal))
    assert packet.signature == SIGNATURE
    assert packet.foreign_signature is None
    assert list(packet.parts) == seen
    assert [part.uri for part in packet.parts] == [
        "#MessageHeader",
        "#Bussiness",
        "#edXMLManifest",
        *(f"cid:{attachment.content_id}" for attachment in packet.attachments),
    ]
    assert [part.sha256 for part in packet.parts[3:]] == [one.transfer_sha256 for one in packet.attachments]


def test_a_part_is_hashed_in_exclusive_canonical_form(read: Callable[..., Packet]) -> None:
    octets = sealed()
    start = octets.index(b"<edXML:edXMLManifest")
    end = octets.index(b"</edXML:edXMLManifest>") + len(b"</edXML:edXMLManifest>")
    # Attributes are sorted, the one namespace used is declared; the rest of what we write is canonical already.
    canonical = octets[start:end].replace(
        b'<edXML:edXMLManifest version="1.0" Id="edXMLManifest">',
        f'<edXML:edXMLManifest xmlns:edXML="{QCVN}" Id="edXMLManifest" version="1.0">'.encode(),
    )
    assert read(octets).parts[2].sha256 == hashlib.sha256(canonical).hexdigest()


def test_a_part_keeps_its_digest_in_another_surrounding(read: Callable[..., Packet]) -> None:
    plain = read(sealed())
    octets = sealed().replace(b"<edXML:edXMLHeader>", b'<edXML:edXMLHeader xmlns:x="urn:x" a="1">\n ')
    assert read(octets).parts == plain.parts


def test_any_change_of_a_value_changes_the_digest(read: Callable[..., Packet]) -> None:
    assert read(sealed()).parts[0] != read(sealed(subject="Khác")).parts[0]
    assert read(sealed()).parts[0].uri == read(sealed(subject="Khác")).parts[0].uri


def test_an_element_without_id_has_no_uri(read: Callable[..., Packet]) -> None:
    packet = read(sealed().replace(b' Id="Bussiness"', b""))
    assert [part.uri for part in packet.parts[:3]] == ["#MessageHeader", "", "#edXMLManifest"]


def test_a_status_package_signs_its_header_only(read: Callable[..., Packet]) -> None:
    packet = read(a_status_packet(seal=lambda _: SIGNATURE))
    assert packet.signature == SIGNATURE
    assert [part.uri for part in packet.parts] == ["#MessageHeader"]


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("several", lambda octets: octets.replace(HEADER_END, SIGNATURE + HEADER_END)),
        ("several", lambda octets: octets.replace(b"</ds:SignedInfo>", SIGNATURE + b"</ds:SignedInfo>")),
        ("several", lambda octets: octets.replace(b"</edXML:edXMLBody>", SIGNATURE + b"</edXML:edXMLBody>")),
        ("not-last", lambda octets: octets.replace(HEADER_END, b"<edXML:ErrorList/>" + HEADER_END)),
        (
            "elsewhere",
            lambda octets: octets.replace(SIGNATURE, b"").replace(b"<edXML:From>", SIGNATURE + b"<edXML:From>"),
        ),
        (
            "elsewhere",
            lambda octets: octets.replace(SIGNATURE, b"").replace(
                b"</edXML:edXMLBody>", SIGNATURE + b"</edXML:edXMLBody>"
            ),
        ),
        ("namespace", lambda octets: octets.replace(b"http://www.w3.org/2000/09/xmldsig#", QCVN.encode())),
        ("namespace", lambda octets: octets.replace(b"ds:Signature", b"ds:DigitalSignature")),
        ("too-large", lambda octets: octets.replace(b"<ds:SignedInfo>", b"<ds:SignedInfo>" + b"x" * 70_000)),
    ],
)
def test_a_signature_that_is_not_alone_at_its_place_is_foreign(
    read: Callable[..., Packet], reason: str, change: Callable[[bytes], bytes]
) -> None:
    packet = read(change(sealed()))
    assert packet.signature is None
    assert packet.foreign_signature == reason


def test_an_empty_signature_element_claims_nothing(read: Callable[..., Packet]) -> None:
    packet = read(sealed().replace(SIGNATURE, b"<edXML:DigitalSignature/>"))
    assert packet.signature is None
    assert packet.foreign_signature is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<edXML:TraceHeader>", b'<edXML:TraceHeader Id="MessageHeader">'),
        (b"<edXML:TraceHeader>", b'<edXML:TraceHeader ID="MessageHeader">'),
        (b"<edXML:TraceHeader>", b'<edXML:TraceHeader xml:id="Bussiness">'),
        (b"<ds:SignedInfo>", b'<ds:SignedInfo id="edXMLManifest">'),
        (b"<Attachment>", b'<Attachment Id="MessageHeader">'),
    ],
)
def test_an_id_used_twice_is_refused_in_a_signed_packet_only(
    read: Callable[..., Packet], refusal: Callable[..., Rejected], old: bytes, new: bytes
) -> None:
    octets = sealed().replace(old, new, 1)
    assert [error.code for error in refusal(octets).errors] == ["id-doubled"]
    unsigned = octets.replace(octets[octets.index(b"<ds:Signature ") : octets.index(HEADER_END)], b"")
    assert read(unsigned).signature is None


@pytest.mark.parametrize(
    ("before", "after"), [(b"a.pdf", b"a.exe"), (b"application/pdf", b"application/zip")], ids=["name", "content type"]
)
def test_labels_beside_the_bytes_must_be_those_of_the_signed_manifest(
    read: Callable[..., Packet], before: bytes, after: bytes
) -> None:
    # The seal covers the manifest and the bytes; what stands beside the bytes could be changed on the way.
    head, opening, attachments = sealed().partition(b"<AttachmentEncoded>")
    with pytest.raises(Rejected) as refused:
        read(head + opening + attachments.replace(before, after, 1))
    assert "attachment-relabelled" in {error.code for error in refused.value.errors}
