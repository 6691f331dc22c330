"""What we sign is judged by tools that are not ours."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import InvalidDigest, InvalidSignature
from signxml.verifier import SignatureConfiguration, XMLVerifier

from shared.contracts.signing import Indication, PartDigest
from shared.testing.pki import MOMENT, Authority, Signer, an_authority, an_rsa_key, to_pem
from shared.xmldsig import check_signature, sign_parts
from shared.xmldsig.make import canonical

ATTACHMENTS = {"1@axis": b"%PDF-1.7 first", "2@axis": b"%PDF-1.7 second"}
HEADER = """<edXML xmlns="http://www.e-doc.vn/Schema/" xmlns:u="urn:unused"><edXMLEnvelope><edXMLHeader>
<MessageHeader Id="MessageHeader"><Subject>Về việc thử &amp; nghiệm</Subject></MessageHeader>
<Bussiness Id="Bussiness"><u:x xmlns:u="urn:used"/></Bussiness><manifest Id="manifest"/></edXMLHeader>
</edXMLEnvelope></edXML>"""

CA = an_authority("Judged root")


def a_packet(signer: Signer) -> etree._Element:
    """
    Sign three elements and two attachments and put the signature where it belongs.
    """
    root = etree.fromstring(HEADER)
    header = root[0][0]
    parts = [
        PartDigest(uri=f"#{child.get('Id')}", sha256=hashlib.sha256(canonical(child)).hexdigest()) for child in header
    ]
    parts += [
        PartDigest(uri=f"cid:{name}", sha256=hashlib.sha256(octets).hexdigest()) for name, octets in ATTACHMENTS.items()
    ]
    signature = sign_parts(parts, signer.key, signer.certificate, signer.chain)
    header.append(etree.fromstring(signature))
    # Through bytes and back, as over the wire.
    root = etree.fromstring(etree.tostring(root))
    assert check_signature(canonical(root[0][0][-1]), parts).indication is Indication.PASSED
    return root


@pytest.fixture(params=["p256", "rsa", "below an issuing authority"])
def signer(request: pytest.FixtureRequest) -> Signer:
    if request.param == "rsa":
        return CA.issue(key=an_rsa_key("signer"))
    authority: Authority = CA if request.param == "p256" else CA.issue_authority()
    return authority.issue()


def resolve(uri: str) -> bytes:
    return ATTACHMENTS[uri.removeprefix("cid:")]


def signxml_verify(root: etree._Element, signer: Signer) -> None:
    config = SignatureConfiguration(
        require_x509=True,
        expect_references=5,
        signature_methods=frozenset({SignatureMethod.RSA_SHA256, SignatureMethod.ECDSA_SHA256}),
        digest_algorithms=frozenset({DigestAlgorithm.SHA256}),
        verification_time=MOMENT,
    )
    XMLVerifier().verify(
        root,
        x509_cert=signer.certificate,
        id_attribute="Id",
        uri_resolver=resolve,
        expect_config=config,
    )


def test_signxml_agrees(signer: Signer) -> None:
    signxml_verify(a_packet(signer), signer)


def test_signxml_refuses_a_changed_header(signer: Signer) -> None:
    root = a_packet(signer)
    root[0][0][0][0].text = "another subject"
    with pytest.raises((InvalidDigest, InvalidSignature)):
        signxml_verify(root, signer)


def xmlsec1() -> str:
    binary = shutil.which("xmlsec1")
    if binary is None:
        pytest.skip("NOT JUDGED BY XMLSEC1: the program is missing (Debian and Ubuntu: apt install xmlsec1)")
    return binary


def where_parts_are(folder: Path) -> list[str]:
    arguments = []
    for element in ("MessageHeader", "Bussiness", "manifest"):
        arguments += ["--id-attr:Id", f"http://www.e-doc.vn/Schema/:{element}"]
    for name, octets in ATTACHMENTS.items():
        (folder / name).write_bytes(octets)
        arguments += [f"--url-map:cid:{name}", str(folder / name)]
    return arguments


def xmlsec1_verify(root: etree._Element, folder: Path) -> subprocess.CompletedProcess[str]:
    binary = xmlsec1()
    packet = folder / "packet.xml"
    packet.write_bytes(etree.tostring(root))
    anchor = folder / "root.pem"
    anchor.write_text(to_pem([CA.certificate]))
    arguments = [binary, "--verify", "--enabled-key-data", "x509", "--trusted-pem", str(anchor)]
    arguments += ["--verification-time", "2024-12-31 03:00:00"]
    arguments += where_parts_are(folder)
    return subprocess.run([*arguments, str(packet)], check=False, capture_output=True, text=True, timeout=60)


def test_xmlsec1_agrees(signer: Signer, tmp_path: Path) -> None:
    judged = xmlsec1_verify(a_packet(signer), tmp_path)
    assert judged.returncode == 0, judged.stderr


def test_xmlsec1_refuses_a_changed_header(signer: Signer, tmp_path: Path) -> None:
    root = a_packet(signer)
    root[0][0][0][0].text = "another subject"
    assert xmlsec1_verify(root, tmp_path).returncode != 0


def test_what_xmlsec1_signs_passes_here(signer: Signer, tmp_path: Path) -> None:
    """
    Other tools lay signatures out differently: line breaks inside base64 and between elements.
    """
    binary = xmlsec1()
    key = tmp_path / "key.pem"
    key.write_bytes(signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    certificate = tmp_path / "certificate.pem"
    certificate.write_text(to_pem([signer.certificate]))
    root = a_packet(signer)
    signature = root[0][0][-1]
    etree.indent(signature)
    for element in signature.iter("{*}DigestValue", "{*}SignatureValue", "{*}X509Certificate"):
        element.text = ""
    data = next(signature.iter("{*}X509Data"))
    for child in list(data):
        data.remove(child)
    template = tmp_path / "template.xml"
    template.write_bytes(etree.tostring(root))
    arguments = [binary, "--sign", "--privkey-pem", f"{key},{certificate}"]
    arguments += where_parts_are(tmp_path)
    made = subprocess.run([*arguments, str(template)], check=True, capture_output=True, timeout=60).stdout
    header = etree.fromstring(made)[0][0]
    parts = [
        PartDigest(uri=f"#{child.get('Id')}", sha256=hashlib.sha256(canonical(child)).hexdigest())
        for child in header[:-1]
    ]
    parts += [
        PartDigest(uri=f"cid:{name}", sha256=hashlib.sha256(octets).hexdigest()) for name, octets in ATTACHMENTS.items()
    ]
    checked = check_signature(canonical(header[-1]), parts)
    assert checked.indication is Indication.PASSED, checked
