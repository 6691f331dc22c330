"""A packet that we write and seal, judged by what we read of it and by a tool that is not ours."""

import base64
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from shared.contracts.signing import Indication
from shared.edxml import Packet, PartDigest
from shared.testing.packets import a_packet, a_pdf, a_status_packet
from shared.testing.pki import an_authority, to_pem
from shared.xmldsig import check_signature, sign_parts

QCVN = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
CA = an_authority("Judged root")
SIGNER = CA.issue()
ONE_MORE = b"<edXML:To><edXML:OrganId>H43.99</edXML:OrganId></edXML:To>"
FILES = [("mot.pdf", a_pdf("mot")), ("hai.txt", b"hai"), ("ba.zip", b"")]


def seal(parts: Sequence[PartDigest]) -> bytes:
    return sign_parts(parts, SIGNER.key, SIGNER.certificate, SIGNER.chain)


SEALED = a_packet(files=FILES, seal=seal)


def judge(packet: Packet) -> Indication:
    assert packet.signature is not None
    return check_signature(packet.signature, packet.parts).indication


def test_our_own_check_agrees(read: Callable[..., Packet]) -> None:
    assert judge(read(SEALED)) is Indication.PASSED
    assert judge(read(a_status_packet(seal=seal))) is Indication.PASSED


def test_a_hop_may_be_added_on_the_way(read: Callable[..., Packet]) -> None:
    hop = b"<edXML:TraceHeader><edXML:OrganId>H43</edXML:OrganId><edXML:Timestamp>2024/12/31 09:00:00</edXML:Timestamp>"
    octets = SEALED.replace(b"<edXML:TraceHeader>", hop + b"</edXML:TraceHeader><edXML:TraceHeader>", 1)
    packet = read(octets)
    assert len(packet.trace.traces) == 2
    assert judge(packet) is Indication.PASSED


def _without_last_attachment(octets: bytes) -> bytes:
    octets = octets[: octets.rindex(b"<Attachment>")] + b"</AttachmentEncoded></edXML>"
    start = octets.rindex(b"<edXML:Reference>")
    return octets[:start] + octets[octets.index(b"</edXML:edXMLManifest>") :]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda octets: octets.replace(b">H43.31<", b">H43.02<"), id="addressee"),
        pytest.param(lambda octets: octets.replace(b"Priority>0", b"Priority>3"), id="priority"),
        pytest.param(lambda octets: octets.replace(b"DocType>0", b"DocType>1"), id="business"),
        pytest.param(lambda octets: octets.replace(b"mot.pdf", b"MOT.pdf"), id="name of a file"),
        pytest.param(
            lambda octets: octets.replace(base64.b64encode(a_pdf("mot")), base64.b64encode(a_pdf("tom"))), id="file"
        ),
        pytest.param(lambda octets: octets.replace(b' Id="MessageHeader"', b""), id="no Id"),
        pytest.param(
            lambda octets: octets.replace(b"<edXML:Content>", ONE_MORE + b"<edXML:Content>"),
            id="one more addressee",
        ),
        pytest.param(_without_last_attachment, id="one file less"),
        pytest.param(
            lambda octets: octets.replace(
                octets[octets.index(b"<edXML:Bussiness ") : octets.index(b"</edXML:TraceHeaderList>")], b""
            ),
            id="business taken out",
        ),
    ],
)
def test_a_packet_changed_after_sealing_does_not_pass(
    read: Callable[..., Packet], change: Callable[[bytes], bytes]
) -> None:
    changed = change(SEALED)
    assert changed != SEALED
    assert judge(read(changed)) is not Indication.PASSED


def test_xmlsec1_agrees(read: Callable[..., Packet], tmp_path: Path) -> None:
    binary = shutil.which("xmlsec1")
    if binary is None:
        pytest.skip("NOT JUDGED BY XMLSEC1: the program is missing (Debian and Ubuntu: apt install xmlsec1)")
    contents = {}
    arguments = [binary, "--verify", "--enabled-key-data", "x509", "--verification-time", "2024-12-31 03:00:00"]
    for element in ("MessageHeader", "Bussiness", "edXMLManifest"):
        arguments += ["--id-attr:Id", f"{QCVN}:{element}"]
    packet = read(SEALED)
    payloads = [piece.split(b"<")[0] for piece in SEALED.split(b"<ContentTransferEncoded>")[1:]]
    for attachment, payload in zip(packet.attachments, payloads, strict=True):
        contents[attachment.content_id] = tmp_path / attachment.content_id
        contents[attachment.content_id].write_bytes(base64.b64decode(payload))
        arguments += [f"--url-map:cid:{attachment.content_id}", str(contents[attachment.content_id])]
    (tmp_path / "packet.xml").write_bytes(SEALED)
    (tmp_path / "root.pem").write_text(to_pem([CA.certificate]))
    arguments += ["--trusted-pem", str(tmp_path / "root.pem"), str(tmp_path / "packet.xml")]
    judged = subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=60)
    assert judged.returncode == 0, judged.stderr

    contents[packet.attachments[0].content_id].write_bytes(b"another file")
    judged = subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=60)
    assert judged.returncode != 0
