"""What a good signature may look like, and that it is good for the parts it names only."""

import base64
import hashlib

import pytest
from lxml import etree

from shared.contracts.signing import Indication, PartDigest
from shared.testing.pki import Signer
from shared.xmldsig import SubIndication, check_signature
from shared.xmldsig.make import canonical
from shared.xmldsig.profile import tag
from tests.unit.xmldsig.signatures import (
    BOTH,
    BUSINESS,
    CA,
    FIRST,
    HEADER,
    MANIFEST,
    ORDER,
    PARTS,
    SECOND,
    at,
    refusal,
    resigned,
    signed,
)

# --- what is good passes ---


@BOTH
def test_what_was_signed_passes(signer: Signer) -> None:
    checked = check_signature(signed(signer), PARTS)
    assert checked.indication is Indication.PASSED, checked
    assert checked.certificate == signer.certificate
    assert checked.sub_indication is None


@BOTH
def test_a_status_package_signs_its_header_only(signer: Signer) -> None:
    assert check_signature(signed(signer, (HEADER,)), (HEADER,)).indication is Indication.PASSED


def test_the_order_of_references_does_not_matter() -> None:
    assert check_signature(signed(), tuple(reversed(PARTS))).indication is Indication.PASSED


def test_the_chain_is_handed_back_in_order() -> None:
    below = CA.issue_authority()
    signer = below.issue()
    assert check_signature(signed(signer), PARTS).chain == (below.certificate,)


def test_cut_from_another_context_it_stays_the_same() -> None:
    packet = b'<edXML xmlns="urn:outer" xmlns:x="urn:x" xml:lang="vi"><h>' + signed() + b"</h></edXML>"
    cut = canonical(etree.fromstring(packet)[0][0])
    assert check_signature(cut, PARTS).indication is Indication.PASSED


def test_line_breaks_inside_base64_pass() -> None:
    def wrap(root: etree._Element) -> None:
        paths = (("SignedInfo", "Reference", "DigestValue"), ("KeyInfo", "X509Data", "X509Certificate"))
        for element in (at(root, *path) for path in paths):
            text = element.text or ""
            element.text = "\n" + "\n".join(text[i : i + 40] for i in range(0, len(text), 40)) + "\n"

    assert check_signature(resigned(wrap), PARTS).indication is Indication.PASSED


def test_a_signature_laid_out_in_lines_passes() -> None:
    assert check_signature(resigned(etree.indent), PARTS).indication is Indication.PASSED


def test_both_signs_of_s_pass() -> None:
    root = etree.fromstring(signed())
    value = at(root, "SignatureValue")
    octets = base64.b64decode(value.text or "")
    mirrored = ORDER - int.from_bytes(octets[32:], "big")
    value.text = base64.b64encode(octets[:32] + mirrored.to_bytes(32, "big")).decode()
    assert check_signature(canonical(root), PARTS).indication is Indication.PASSED


def test_a_short_r_keeps_its_leading_zeros() -> None:
    for number in range(4096):
        header = PartDigest(uri="#MessageHeader", sha256=hashlib.sha256(number.to_bytes(4)).hexdigest())
        signature = signed(parts=(header,))
        value = base64.b64decode(at(etree.fromstring(signature), "SignatureValue").text or "")
        assert len(value) == 64
        if value[0] == 0:
            assert check_signature(signature, (header,)).indication is Indication.PASSED
            return
    pytest.fail("no signature with a short r in 4096")


# --- other parts than those signed ---


@BOTH
@pytest.mark.parametrize("index", range(len(PARTS)))
def test_a_changed_part_is_a_hash_failure(signer: Signer, index: int) -> None:
    parts = list(PARTS)
    parts[index] = PartDigest(uri=parts[index].uri, sha256=hashlib.sha256(b"other").hexdigest())
    checked = check_signature(signed(signer), tuple(parts))
    assert (checked.indication, checked.sub_indication) == (Indication.FAILED, SubIndication.HASH_FAILURE)


def test_two_attachments_exchanged_is_a_hash_failure() -> None:
    first = PartDigest(uri=FIRST.uri, sha256=SECOND.sha256)
    second = PartDigest(uri=SECOND.uri, sha256=FIRST.sha256)
    assert refusal(signed(), (HEADER, BUSINESS, MANIFEST, first, second)) is SubIndication.HASH_FAILURE


def test_the_digest_of_another_element_is_a_hash_failure() -> None:
    swapped = PartDigest(uri=HEADER.uri, sha256=BUSINESS.sha256)
    assert refusal(signed(), (swapped, *PARTS[1:])) is SubIndication.HASH_FAILURE


def test_a_part_of_the_packet_that_is_not_signed_is_refused() -> None:
    assert refusal(signed(parts=PARTS[:-1])) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_a_reference_to_no_part_is_refused() -> None:
    assert refusal(signed(), PARTS[:-1]) is SubIndication.SIGNED_DATA_NOT_FOUND


def test_an_attachment_under_another_name_is_refused() -> None:
    moved = PartDigest(uri="cid:3@axis", sha256=SECOND.sha256)
    assert refusal(signed(), (*PARTS[:-1], moved)) is SubIndication.SIGNED_DATA_NOT_FOUND


def test_two_parts_of_one_name_are_refused() -> None:
    assert refusal(signed(), (*PARTS, FIRST)) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_two_parts_of_one_name_with_other_digests_are_refused() -> None:
    twin = PartDigest(uri=HEADER.uri, sha256=BUSINESS.sha256)
    assert refusal(signed(), (*PARTS, twin)) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_a_packet_of_no_parts_is_refused() -> None:
    assert refusal(signed(), ()) is SubIndication.SIGNED_DATA_NOT_FOUND


def test_a_reference_given_twice_is_refused() -> None:
    def double(root: etree._Element) -> None:
        info = at(root, "SignedInfo")
        info.append(etree.fromstring(etree.tostring(info[2])))

    assert refusal(resigned(double)) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_a_reference_given_twice_with_two_digests_is_refused() -> None:
    def double(root: etree._Element) -> None:
        info = at(root, "SignedInfo")
        info.insert(2, etree.fromstring(etree.tostring(info[2])))
        at(info, "Reference", "DigestValue").text = base64.b64encode(hashlib.sha256(b"x").digest()).decode()

    assert refusal(resigned(double)) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_no_references_at_all_is_refused() -> None:
    def empty(root: etree._Element) -> None:
        info = at(root, "SignedInfo")
        for reference in info.findall(tag("Reference")):
            info.remove(reference)

    assert refusal(resigned(empty)) is SubIndication.SIG_CONSTRAINTS_FAILURE
    assert refusal(resigned(empty), ()) is SubIndication.SIG_CONSTRAINTS_FAILURE


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "#",
        "##MessageHeader",
        "#xpointer(/)",
        "#xpointer(id('MessageHeader'))",
        "#xpointer(//MessageHeader)",
        "#element(/1/2)",
        "MessageHeader",
        "#messageheader",
        "# MessageHeader",
        "http://127.0.0.1/part",
        "https://example.vn/part",
        "file:///etc/passwd",
        "packet.edxml#MessageHeader",
        "cid:MessageHeader",
        "CID:1@axis",
        "data:,header",
    ],
)
def test_a_reference_by_any_other_uri_is_refused(uri: str) -> None:
    def redirect(root: etree._Element) -> None:
        at(root, "SignedInfo", "Reference").set("URI", uri)

    assert refusal(resigned(redirect)) in {
        SubIndication.SIGNED_DATA_NOT_FOUND,
        SubIndication.SIG_CONSTRAINTS_FAILURE,
    }


def test_a_reference_without_uri_is_refused() -> None:
    def anonymous(root: etree._Element) -> None:
        del at(root, "SignedInfo", "Reference").attrib["URI"]

    assert refusal(resigned(anonymous)) is SubIndication.SIG_CONSTRAINTS_FAILURE
