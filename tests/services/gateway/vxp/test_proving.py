"""
Who calls is proved by the bytes that came; what is asked is read from them and from nowhere else.
"""

import hashlib
import hmac
from datetime import datetime

import pytest

from shared.contracts import registry, routing
from shared.contracts.registry import CHECK_SIGNED_HEADER
from tests.services.gateway.vxp.conftest import MakeVxp
from tests.services.gateway.vxp.world import SECRET, SYSTEM, VxpWorld
from tests.services.gateway.world import ID, refused
from tests.vxp.line import Answer, Lines, Socket
from tests.vxp.reading import read_common
from tests.vxp.sdk import JSON, JavaSdk, sign


async def post(vxp: VxpWorld, lines: Lines, operation: str = "countReceiveEdoc") -> Answer:
    return await Socket(vxp.url + "/vxp").by_apache("POST", operation, lines, b"{}")


def replaced(lines: Lines, name: str, value: str) -> Lines:
    return [(key, value if key == name else old) for key, old in lines]


async def test_the_bytes_received_are_what_the_registry_checks(vxp: VxpWorld) -> None:
    client = vxp.client()
    result = await client.count_receive_edoc()
    assert result is not None
    assert (result.ok, result.count) == (True, 3)
    (question,) = vxp.asked(CHECK_SIGNED_HEADER)
    assert question.source == "127.0.0.1"
    assert question.hash_header in client.socket.sent[0].decode()


async def test_parameters_in_any_order_are_proved(vxp: VxpWorld) -> None:
    given = [("timestamp", "x"), ("Content-Type", JSON), ("zebra", "1"), ("systemid", SYSTEM)]
    for parameters in (given, given[::-1]):
        result = read_common(await post(vxp, sign(parameters, SECRET)))
        assert result is not None
        assert result.ok


async def test_a_wrong_secret_is_refused_with_code_15_and_all_members(vxp: VxpWorld) -> None:
    result = await JavaSdk(Socket(vxp.url + "/vxp"), SYSTEM, "another").get_edoc(ID)
    assert result is not None
    assert result.answer is not None
    assert (result.status, result.error_code, result.answer.status) == ("FAIL", "15", 401)


@pytest.mark.parametrize("name", ["XroadVnpt-sign-header", "XroadVnpt-hash-header"])
async def test_a_call_without_a_signature_is_refused(vxp: VxpWorld, name: str) -> None:
    lines = sign([("systemid", SYSTEM), ("Content-Type", JSON)], SECRET)
    result = read_common(await post(vxp, [line for line in lines if line[0] != name]))
    assert result is not None
    assert result.status == "FAIL"
    assert vxp.asked(CHECK_SIGNED_HEADER) == []


async def test_a_timestamp_of_years_ago_is_taken(vxp: VxpWorld) -> None:
    client = JavaSdk(Socket(vxp.url + "/vxp"), SYSTEM, SECRET, created_at=datetime(2019, 1, 1))  # noqa: DTZ001
    result = await client.count_receive_status()
    assert result is not None
    assert result.ok


async def test_a_loose_header_that_was_not_signed_is_not_acted_on(vxp: VxpWorld) -> None:
    lines = [*sign([("systemid", SYSTEM), ("Content-Type", JSON)], SECRET), ("XroadVnpt-docId", str(ID))]
    result = read_common(await post(vxp, lines, "getEdoc"))
    assert result is not None
    assert result.status == "FAIL"
    assert vxp.asked(routing.OPEN_PACKET) == []


async def test_a_loose_header_that_differs_from_its_signed_copy_is_refused(vxp: VxpWorld) -> None:
    lines = sign([("systemid", SYSTEM), ("docId", str(ID)), ("Content-Type", JSON)], SECRET)
    result = read_common(await post(vxp, replaced(lines, "XroadVnpt-docId", "other"), "getEdoc"))
    assert result is not None
    assert (result.status, result.error_code) == ("FAIL", "15")


async def test_of_two_spellings_a_loose_header_may_be_either(vxp: VxpWorld) -> None:
    given = [("systemid", SYSTEM), ("docId", "a"), ("docid", "b"), ("Content-Type", JSON)]
    by_apache = await post(vxp, sign(given, SECRET))
    by_jdk = await Socket(vxp.url + "/vxp").by_jdk("countReceiveEdoc", sign(given, SECRET), b"{}")
    for answer in (by_apache, by_jdk):
        result = read_common(answer)
        assert result is not None
        assert result.ok, result.error_desc


@pytest.mark.parametrize(
    ("description", "status"),
    [("Lỗi", 401), ("Đã nhận lỗi định dạng", 401)],  # the second is garbled into control characters
)
async def test_letters_beyond_ascii_are_refused_in_words_the_client_reads(
    vxp: VxpWorld, description: str, status: int
) -> None:
    result = await vxp.client().update_status(ID, "fail", description=description)
    assert result is not None
    assert result.answer is not None
    assert (result.status, result.error_code, result.answer.status) == ("FAIL", "15", status)
    assert "ASCII" in (result.error_desc or "")


async def test_letters_beyond_ascii_from_the_jdk_in_utf_8_are_proved(vxp: VxpWorld) -> None:
    client = vxp.client()
    client.parameters["note"] = "Lỗi định dạng"
    result = await client.send_edoc(b"<edXML/>", from_="H43.30")
    assert result is not None
    assert result.ok, result.error_desc


async def test_letters_beyond_ascii_from_a_jdk_without_utf_8_are_refused(vxp: VxpWorld) -> None:
    client = vxp.client(file_encoding="ascii")
    client.parameters["note"] = "Lỗi định dạng"
    result = await client.send_edoc(b"<edXML/>", from_="H43.30")
    assert result is not None
    assert (result.status, result.error_code) == ("FAIL", "15")


@pytest.mark.parametrize("signed", ["", "[]", "1", "{", '{"XroadVnpt-systemid":null}', '{"XroadVnpt-systemid":["a"]}'])
async def test_a_signed_header_that_is_no_object_of_texts_is_refused(vxp: VxpWorld, signed: str) -> None:
    vxp.answers(CHECK_SIGNED_HEADER, registry.TokenIssued(access_token="t", expires_in=1, scopes=()))
    digest = hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest()
    lines = [("XroadVnpt-sign-header", signed), ("XroadVnpt-hash-header", digest)]
    result = read_common(await post(vxp, lines))
    assert result is not None
    assert (result.status, result.error_code) == ("FAIL", "10")


async def test_a_parameter_that_is_a_number_is_read_as_text(vxp: VxpWorld) -> None:
    signed = f'{{"XroadVnpt-systemid":"{SYSTEM}","XroadVnpt-docId":12}}'
    digest = hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest()
    lines = [("XroadVnpt-sign-header", signed), ("XroadVnpt-hash-header", digest)]
    result = read_common(await post(vxp, lines, "getEdoc"))
    assert result is not None
    assert "docId" in (result.error_desc or "")


async def test_a_wrong_source_address_is_code_15(vxp: VxpWorld) -> None:
    vxp.answers(CHECK_SIGNED_HEADER, refused("vxp-source", "not from here"))
    result = await vxp.client().count_receive_edoc()
    assert result is not None
    assert (result.status, result.error_code) == ("FAIL", "15")


async def test_a_system_that_floods_is_slowed_down_with_an_answer_it_can_read(make_vxp: MakeVxp) -> None:
    vxp = await make_vxp(rate_per_second=0.001, rate_burst=2)
    client = vxp.client()
    results = [await client.count_receive_edoc() for _ in range(3)]
    assert [result.ok for result in results if result is not None] == [True, True, False]
    assert results[2] is not None
    assert results[2].answer is not None
    assert (results[2].error_code, results[2].answer.status) == ("20", 503)
