"""
`sendEdoc`: what becomes of the body, whom it goes to, and an answer that always has a `DocId`.
"""

import hashlib
import json

import pytest

from shared.contracts import routing
from shared.errors import FieldError, RejectedElsewhere, Unavailable
from tests.services.gateway.vxp.conftest import MakeVxp
from tests.services.gateway.vxp.world import PACKAGE, SECRET, STATUS_ID, SYSTEM, VxpWorld
from tests.services.gateway.world import ID, refused
from tests.vxp.line import Socket
from tests.vxp.reading import Release, Result, read_sent
from tests.vxp.sdk import OCTETS, hash_file, sign

SENDER = "000.00.00.X01"


async def post(vxp: VxpWorld, body: bytes, hash_file: str, **more: str) -> Result:
    given = {"systemid": SYSTEM, "from": SENDER, "hash-file": hash_file, "Content-Type": OCTETS, **more}
    lines = sign([(name, value) for name, value in given.items() if value], SECRET)
    result = read_sent("2.0.1", await Socket(vxp.url + "/vxp").by_jdk("sendEdoc", lines, body))
    assert result is not None
    return result


async def send(vxp: VxpWorld, package: bytes = PACKAGE, **more: str) -> Result:
    result = await vxp.client().send_edoc(package, from_=SENDER, **more)
    assert result is not None
    return result


async def test_the_trailing_crlf_is_neither_stored_nor_hashed(vxp: VxpWorld) -> None:
    result = await send(vxp)
    assert (result.status, result.error_code, result.doc_id) == ("OK", "0", str(ID))
    (question,) = vxp.asked(routing.SUBMIT_DOCUMENT)
    assert question.packet_sha256 == hashlib.sha256(PACKAGE).hexdigest()
    assert (question.packet_bytes, question.sender) == (len(PACKAGE), SENDER)
    assert vxp.world.blobs.path(question.packet_sha256).read_bytes() == PACKAGE


async def test_only_one_crlf_is_taken_off(vxp: VxpWorld) -> None:
    package = PACKAGE + b"\r\n"
    await send(vxp, package)
    assert vxp.asked(routing.SUBMIT_DOCUMENT)[0].packet_bytes == len(package)


@pytest.mark.parametrize("tail", [b"", b"\r\n"])
async def test_a_hash_over_the_whole_body_is_taken_too(vxp: VxpWorld, tail: bytes) -> None:
    body = PACKAGE + tail
    result = await post(vxp, body, hashlib.sha256(body).hexdigest())
    assert result.ok, result.error_desc
    assert vxp.asked(routing.SUBMIT_DOCUMENT)[0].packet_bytes == len(body)


@pytest.mark.parametrize("written", [hash_file, lambda p: hashlib.sha256(p).hexdigest().upper()])
async def test_the_hash_is_read_with_and_without_leading_zeros(vxp: VxpWorld, written: object) -> None:
    package = b"<edXML/>"
    assert len(hash_file(package)) == 62
    assert callable(written)
    assert (await post(vxp, package + b"\r\n", written(package))).ok


async def test_a_package_that_does_not_fit_its_hash_is_refused_and_not_kept(vxp: VxpWorld) -> None:
    result = await post(vxp, PACKAGE + b"\r\n", hash_file(b"another"))
    assert (result.status, result.error_code, result.doc_id) == ("FAIL", "10", "")
    assert vxp.asked(routing.SUBMIT_DOCUMENT) == []
    assert vxp.world.kept() == []


@pytest.mark.parametrize("missing", ["from", "hash-file"])
async def test_sender_and_hash_must_be_signed(vxp: VxpWorld, missing: str) -> None:
    result = await post(vxp, b"\r\n", hash_file(b""), **{missing: ""})
    assert (result.status, result.doc_id) == ("FAIL", "")
    assert missing in (result.error_desc or "")


async def test_the_body_may_come_in_pieces_of_any_size(vxp: VxpWorld) -> None:
    for size in (0, 1, 2, 3, 70_000, 300_001):
        package = b"\r\n" * (size // 2) + b"x" * (size % 2)
        assert (await send(vxp, package)).ok
        assert vxp.asked(routing.SUBMIT_DOCUMENT)[-1].packet_bytes == size


async def test_without_to_the_package_says_who_gets_it(vxp: VxpWorld) -> None:
    await send(vxp)
    assert vxp.asked(routing.SUBMIT_DOCUMENT)[0].addressees == ()


async def test_with_to_a_subset_gets_it(vxp: VxpWorld) -> None:
    await send(vxp, to='["000.00.01.X01","000.00.02.X01"]')
    assert vxp.asked(routing.SUBMIT_DOCUMENT)[0].addressees == ("000.00.01.X01", "000.00.02.X01")


@pytest.mark.parametrize("to", ['["a"', '{"a":1}', "[1]"])
async def test_a_to_that_is_no_array_of_texts_is_refused(vxp: VxpWorld, to: str) -> None:
    result = await send(vxp, to=to) if to.startswith("[") else await send(vxp, to=f"[{to}]")
    assert (result.status, result.error_code) == ("FAIL", "10")


@pytest.mark.parametrize("servicetype", ["eDoc", "edoc", ""])
async def test_the_service_type_may_be_written_anyhow_or_be_missing(vxp: VxpWorld, servicetype: str) -> None:
    assert (await send(vxp, servicetype=servicetype)).ok


async def test_a_status_package_is_submitted_as_one(vxp: VxpWorld) -> None:
    result = await send(vxp, messagetype="Status")
    assert result.doc_id == str(STATUS_ID)
    (question,) = vxp.asked(routing.SUBMIT_STATUS)
    assert (question.sender, question.idempotency_key) == (SENDER, f"vxp:{question.packet_sha256}")


async def test_another_message_type_is_refused(vxp: VxpWorld) -> None:
    assert (await send(vxp, messagetype="fax")).error_code == "10"


async def test_the_same_package_again_is_the_same_question_again(vxp: VxpWorld) -> None:
    first, again = await send(vxp), await send(vxp)
    assert first.doc_id == again.doc_id
    assert len({question.packet_sha256 for question in vxp.asked(routing.SUBMIT_DOCUMENT)}) == 1


@pytest.mark.parametrize("release", ["2.0.0", "2.0.1"])
@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (refused("packet-malformed"), "22"),
        (refused("packet-invalid"), "22"),
        (refused("document-id-reused"), "22"),
        (refused("packet-too-large"), "21"),
        (refused("sender-not-yours"), "19"),
        (
            RejectedElsewhere(
                "addressees-refused", "no", errors=[FieldError(pointer="/To", code="addressee-unknown", detail="x")]
            ),
            "18",
        ),
        (
            RejectedElsewhere(
                "addressees-refused", "no", errors=[FieldError(pointer="/To", code="addressee-closed", detail="x")]
            ),
            "23",
        ),
        (Unavailable("away"), "20"),
    ],
)
async def test_every_failure_has_a_doc_id_and_its_code(
    vxp: VxpWorld, release: Release, refusal: Exception, code: str
) -> None:
    vxp.answers(routing.SUBMIT_DOCUMENT, refusal)
    result = await vxp.client(release=release).send_edoc(PACKAGE, from_=SENDER)
    assert result is not None
    assert (result.status, result.error_code, result.doc_id) == ("FAIL", code, "")
    assert result.error_desc


async def test_a_sender_of_another_system_is_refused_with_both_codes(vxp: VxpWorld) -> None:
    vxp.answers(routing.SUBMIT_DOCUMENT, refused("sender-not-yours", "not yours"))
    result = await send(vxp)
    assert SENDER in (result.error_desc or "")
    assert SYSTEM in (result.error_desc or "")


async def test_each_wrong_place_is_named(vxp: VxpWorld) -> None:
    errors = [FieldError(pointer=f"/edXML/{n}", code="x", detail=f"Sai {n}") for n in range(3)]
    vxp.answers(routing.SUBMIT_DOCUMENT, RejectedElsewhere("packet-invalid", "3 places", errors=errors))
    result = await vxp.client(release="2.0.0").send_edoc(PACKAGE, from_=SENDER)
    assert result is not None
    assert all(f"/edXML/{n}: Sai {n}" in (result.error_desc or "") for n in range(3))


async def test_a_refused_sender_may_send_all_of_a_large_package_before_it_reads(make_vxp: MakeVxp) -> None:
    vxp = await make_vxp(max_packet_bytes=1_000)
    result = await send(vxp, b"x" * 8_000_000)
    assert (result.status, result.error_code, result.doc_id) == ("FAIL", "21", "")


async def test_a_body_without_a_length_is_refused(vxp: VxpWorld) -> None:
    given = {"systemid": SYSTEM, "from": SENDER, "hash-file": hash_file(b""), "Content-Type": OCTETS}
    lines = [*sign(list(given.items()), SECRET), ("Transfer-Encoding", "chunked")]
    socket = Socket(vxp.url + "/vxp")
    head = "\r\n".join(["POST /vxp/sendEdoc HTTP/1.1", "Host: x", *(f"{n}: {v}" for n, v in lines), "", ""])
    answer = await socket._exchange(head.encode(), b"0\r\n\r\n", waits=False)
    assert json.loads(answer.body)["ErrorCode"] == "21"


async def test_sent_documents_are_listed_with_two_ids_and_both_states(vxp: VxpWorld) -> None:
    result = await vxp.client().get_sent_edoc_list()
    assert result is not None
    assert result.data == [
        {
            "serviceType": "eDoc",
            "messageType": "edoc",
            "senderDocId": str(ID),
            "receiverDocId": str(STATUS_ID),
            "fromCode": "H43.30",
            "toCode": "H43.31",
            "title": "V/v báo cáo",
            "notation": "15/CV",
            "sentTime": "31/12/2024 15:00:00",
            "receivedTime": "31/12/2024 15:00:00",
            "sendStatus": "processing",
            "sendStatusDesc": "Dang xu ly",
            "receiveStatus": "03",
            "receiveStatusDesc": "Da tiep nhan",
        }
    ]


async def test_the_sent_list_can_be_narrowed_to_days_and_to_one_document(vxp: VxpWorld) -> None:
    await vxp.client().get_sent_edoc_list(fromDate="01/12/2024 00:00:00", toDate="31/12/2024 23:59:59")
    (question,) = vxp.asked(routing.LIST_SENT)
    assert question.since.isoformat() == "2024-11-30T17:00:00+00:00"
    await vxp.client().get_sent_edoc_list(docId=str(ID))
    assert vxp.asked(routing.LIST_SENT)[-1].document_id == ID


async def test_a_stale_doc_id_does_not_empty_the_sent_list(vxp: VxpWorld) -> None:
    page = routing.SentPage(items=())
    everything = vxp.world.answers[routing.LIST_SENT.name]
    vxp.answers(routing.LIST_SENT, lambda question: everything if question.document_id is None else page)
    client = vxp.client()
    await client.get_edoc(STATUS_ID)
    result = await client.get_sent_edoc_list()
    assert result is not None
    assert len(result.data) == 1
