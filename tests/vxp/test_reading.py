"""
What clients make of odd answers, as it was measured: the reasons for the form of ours.
"""

import gzip
import json

import pytest

from tests.vxp.line import Answer
from tests.vxp.reading import read_common, read_count, read_download, read_list, read_package, read_sent

GOOD = {"status": "OK", "ErrorCode": "0", "ErrorDesc": ""}
HTML = b"<html><body>502 Bad Gateway</body></html>"
MEMBERS = {"docId": str, "to": str}


def an_answer(body: object, status: int = 200, **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, tuple((name.replace("_", "-"), value) for name, value in headers.items()), content)


@pytest.mark.parametrize("status", [200, 400, 401])
def test_the_http_status_is_ignored(status: int) -> None:
    result = read_common(an_answer({**GOOD, "status": "FAIL", "ErrorCode": "15"}, status))
    assert result is not None
    assert (result.status, result.error_code) == ("FAIL", "15")


def test_a_number_as_error_code_is_read_too() -> None:
    result = read_common(an_answer({**GOOD, "ErrorCode": 0}))
    assert result is not None
    assert result.ok


@pytest.mark.parametrize("member", ["status", "ErrorCode", "ErrorDesc"])
def test_a_null_member_leaves_null_fields(member: str) -> None:
    result = read_common(an_answer({**GOOD, member: None}))
    assert result is not None
    assert result.status is None


def test_an_answer_to_sending_without_doc_id_tells_the_caller_nothing() -> None:
    result = read_sent("2.0.1", an_answer({**GOOD, "status": "FAIL"}))
    assert result is not None
    assert (result.status, result.error_desc) == (None, None)


def test_success_without_data_has_a_null_list() -> None:
    result = read_list("2.0.1", an_answer(GOOD), MEMBERS)
    assert result is not None
    assert (result.status, result.data) == ("OK", None)


@pytest.mark.parametrize("bad", [None, ["A", "B"]])
def test_one_null_or_array_member_loses_the_whole_list(bad: object) -> None:
    rows = [{"docId": "a", "to": "b"}, {"docId": "c", "to": bad}]
    result = read_list("2.0.1", an_answer({**GOOD, "data": rows}), MEMBERS)
    assert result is not None
    assert result.data is None


def test_absent_members_are_no_harm() -> None:
    result = read_list("2.0.1", an_answer({**GOOD, "data": [{"docId": "a"}]}), MEMBERS)
    assert result is not None
    assert result.data == [{"docId": "a"}]


def test_an_empty_body_gives_null_fields_or_nothing() -> None:
    result = read_sent("2.0.1", an_answer(b""))
    assert result is not None
    assert result.status is None
    assert read_sent("2.0.1", an_answer(b"", 503)) is None


def test_an_error_page_of_a_proxy_reads_as_an_empty_inbox_to_2_0_1() -> None:
    result = read_list("2.0.1", an_answer(HTML, 502), MEMBERS, inbox=True)
    assert result is not None
    assert (result.ok, result.data) == (True, [])
    assert read_list("2.0.0", an_answer(HTML, 502), MEMBERS, inbox=True) is None
    assert read_list("2.0.1", an_answer(HTML, 502), MEMBERS) is None


def test_text_beyond_ascii_is_garbled_after_sending_by_2_0_1_only() -> None:
    body = json.dumps({**GOOD, "ErrorDesc": "Lỗi", "DocId": ""}, ensure_ascii=False).encode()
    newer, older = read_sent("2.0.1", an_answer(body)), read_sent("2.0.0", an_answer(body))
    assert newer is not None
    assert older is not None
    assert (newer.error_desc == "Lỗi", older.error_desc) == (False, "Lỗi")


def test_gzip_is_read_everywhere_but_after_sending() -> None:
    body = gzip.compress(json.dumps({**GOOD, "DocId": "x"}).encode())
    assert read_sent("2.0.1", an_answer(body, Content_Encoding="gzip")) is None
    result = read_common(an_answer(body, Content_Encoding="gzip"))
    assert result is not None
    assert result.ok


def test_a_failed_fetch_without_data_fails_2_0_0() -> None:
    failed = {"status": "FAIL", "ErrorCode": "10", "ErrorDesc": "no"}
    older, newer = read_package("2.0.0", an_answer(failed)), read_package("2.0.1", an_answer(failed))
    assert older is not None
    assert newer is not None
    assert (older.status, newer.status) == (None, "FAIL")
    told = read_package("2.0.0", an_answer({**failed, "data": ""}))
    assert told is not None
    assert told.status == "FAIL"


def test_whatever_comes_for_a_download_is_the_document() -> None:
    assert read_download(an_answer({"status": "FAIL"}, 500)).ok
    empty = read_download(an_answer(b"", 404))
    assert (empty.status, empty.error_code) == ("FAIL", "100")


def test_a_count_is_a_number() -> None:
    result = read_count(an_answer({**GOOD, "count": 3}))
    assert result is not None
    assert result.count == 3
