"""
Answers of a national axis are read piece by piece, whatever the pieces, and never taken for what they are not.
"""

import base64
import contextlib
import json
import random
from typing import Any

import pytest

from services.delivery.clients.vxp.packages import PackageCheck
from services.delivery.clients.vxp.reading import MAX_MEMBER_CHARS, AnswerReader, DataKind, NotAnAnswer


def read(text: bytes, size: int = 1 << 20, *, passes_data_on: bool = True) -> tuple[AnswerReader, bytes, list[Any]]:
    reader = AnswerReader(passes_data_on=passes_data_on)
    given, items = b"", []
    for start in range(0, len(text), size):
        reader.feed(text[start : start + size])
        given += reader.take_bytes()
        items += reader.take_items()
    reader.close()
    return reader, given + reader.take_bytes(), items + reader.take_items()


@pytest.mark.parametrize("size", [1, 7, 4096, 20_000, 1 << 20])
def test_a_package_comes_out_as_it_went_in_whatever_the_pieces(size: int) -> None:
    package = random.Random(1).randbytes(50_001)
    text = json.dumps({"status": "OK", "ErrorCode": "0", "data": base64.b64encode(package).decode(), "ErrorDesc": "x"})
    reader, given, _ = read(text.encode(), size)
    assert given == package
    assert reader.kind is DataKind.TEXT
    assert reader.members == {"status": "OK", "ErrorCode": "0", "ErrorDesc": "x"}


@pytest.mark.parametrize("size", [1, 5, 16_385, 1 << 20])
def test_base64_may_be_escaped_and_broken_into_lines(size: int) -> None:
    package = bytes(range(256)) * 300
    encoded = base64.encodebytes(package).decode().replace("\n", "\\r\\n").replace("/", "\\/")
    encoded = encoded.replace("=", "\\u003d").replace("+", "\\u002B")
    _, given, _ = read(f'{{"status":"OK","ErrorCode":"0","data":"{encoded}"}}'.encode(), size)
    assert given == package


@pytest.mark.parametrize("size", [1, 100, 16_384, 1 << 20])
def test_the_items_of_a_list_come_out_whatever_the_pieces(size: int) -> None:
    wanted = [{"docId": f"{n}", "from": 'Sở "Mẫu" \\ {[', "deep": [{"a": None}]} for n in range(700)]
    answer = json.dumps({"data": wanted, "status": "OK", "ErrorCode": 0}, ensure_ascii=False)
    reader, _, items = read(b"\xef\xbb\xbf " + answer.encode() + b"\r\n", size)
    assert items == wanted
    assert reader.members == {"status": "OK", "ErrorCode": 0}
    assert reader.kind is DataKind.LIST


def test_words_in_the_place_of_a_package_do_not_hide_the_refusal() -> None:
    reader, _, _ = read('{"status":"FAIL","ErrorCode":"10","data":"Không có \\"gói\\" này"}'.encode())
    assert reader.members == {"status": "FAIL", "ErrorCode": "10"}
    assert reader.fault


def test_data_that_nobody_asked_for_is_a_member_like_the_others() -> None:
    reader, _, _ = read(b'{"status":"OK","data":["x"]}', passes_data_on=False)
    assert reader.members == {"status": "OK", "data": ["x"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "empty"),
        (b"  \r\n", "empty"),
        (b"<html><body>502 Bad Gateway</body></html>", "HTML"),
        (b'[{"status":"OK"}]', "not the JSON"),
        (b"null", "not the JSON"),
        (b'{"status":"OK","ErrorCode":"0","data":[{"docId":"1"},', "cut off"),
        (b'{"status":"OK","ErrorCode":"0","data":[]', "cut off"),
        (b'{"status":"OK","ErrorCode":"0","data":"QUJD', "cut off"),
        (b'{"status":"OK"} <html>', "follows"),
        (b'{"status":"OK","status":"FAIL"}', "twice"),
        (b'{"data":[],"data":[]}', "twice"),
        (b'{"status":"\xff"}', "UTF-8"),
        (b'{"status":tru}', "cut off"),
        (b'{"a":' + b"[" * 60_000, "deeply"),
        (b'{"a":"' + b"x" * (MAX_MEMBER_CHARS + 1), "too long"),
    ],
)
@pytest.mark.parametrize("size", [3, 1 << 20])
def test_what_is_no_answer_is_said_to_be_none(text: bytes, words: str, size: int) -> None:
    with pytest.raises(NotAnAnswer, match=words):
        read(text, size)


@pytest.mark.parametrize("data", ["QUI=QUJD", "####", "QUJ", "Q", "=QUJ", "\ud83d"])
def test_damaged_base64_is_told(data: str) -> None:
    reader, given, _ = read(json.dumps({"data": data}).encode())
    assert (reader.fault != "") or (data == "QUJ" and given == b"AB")


def test_mutated_answers_never_raise_anything_else() -> None:
    chance = random.Random(7)
    good = json.dumps({"status": "OK", "ErrorCode": "0", "data": [{"docId": "1", "n": 12}], "x": "\u1ed7\n"}).encode()
    for _ in range(3000):
        bad = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            bad[chance.randrange(len(bad))] = chance.choice(b'{}[]",:\\ue0<\x00\xff')
        with contextlib.suppress(NotAnAnswer):
            read(bytes(bad), chance.randint(1, 50))


PACKAGE = b'<?xml version="1.0"?>\n<edXML xmlns="x"><edXML:a xmlns:edXML="x"/></edXML>'


@pytest.mark.parametrize(
    "package", [PACKAGE, b"\xef\xbb\xbf" + PACKAGE, PACKAGE + b"\r\n", b"<e:edXML xmlns:e='x'></e:edXML >"]
)
def test_a_package_is_known_by_its_beginning_and_its_end(package: bytes) -> None:
    check = PackageCheck()
    for start in range(0, len(package), 5):
        check.feed(package[start : start + 5])
    assert check.finding() is None
    assert check.size_bytes == len(package)


@pytest.mark.parametrize(
    ("package", "words"),
    [
        (b"", "nothing"),
        (b"<html><body>edXML</body></html>", "begin"),
        (b'{"status":"FAIL"}', "begin"),
        (PACKAGE[:-3], "cut off"),
        (b"<edXMLx></edXML>", "begin"),
    ],
)
def test_what_is_no_package_is_told_from_one(package: bytes, words: str) -> None:
    check = PackageCheck()
    check.feed(package)
    assert words in (check.finding() or "")
