"""
The stand-in writes what the real client was seen to write.
"""

from datetime import UTC, datetime

from tests.vxp.java_map import in_java_order
from tests.vxp.line import Lines, Socket
from tests.vxp.sdk import AGENT, JSON, OCTETS, JavaSdk, hash_file, sign, write_json

SECRET = "demo-secret-key"
CREATED_AT = datetime(2024, 5, 2, 8, 0, 0, 123_000, tzinfo=UTC)


def a_client(**more: str) -> JavaSdk:
    return JavaSdk(Socket("http://127.0.0.1:1/vxp"), "demo.center.01", SECRET, created_at=CREATED_AT, **more)  # type: ignore[arg-type]


def header(lines: Lines, name: str) -> str:
    return next(value for key, value in lines if key == f"XroadVnpt-{name}")


def test_the_hmac_is_that_of_the_published_test_vector() -> None:
    lines = a_client()._signed({}, JSON)
    assert header(lines, "sign-header") == (
        '{"XroadVnpt-systemid":"demo.center.01","XroadVnpt-timestamp":"02052024T080000+0123",'
        '"XroadVnpt-Content-Type":"application/json"}'
    )
    assert header(lines, "hash-header") == "84bd41ac604e6e8346d075caf5bc23051bc9168e40dde40a545a77e2bdf8d434"


def test_parameters_are_signed_in_the_order_of_a_java_hash_map() -> None:
    seen = "systemid;messagetype;docId;docid;filePath;timestamp;Content-Type;status"
    given = ["systemid", "timestamp", "Content-Type", "docId", "filePath", "docid", "status", "messagetype"]
    assert ";".join(in_java_order(given)) == seen
    many = in_java_order([*given, "servicetype", "hash-file", "from", "to", "AgencyCode"])
    assert many.index("servicetype") > many.index("filePath")  # a map of more than twelve has twice the buckets


def test_sending_to_two_units_is_signed_as_in_the_example() -> None:
    given = {
        "servicetype": "eDoc",
        "messagetype": "edoc",
        "hash-file": hash_file(b"<edXML/>"),
        "from": "000.00.00.X01",
        "to": '["000.00.01.X01","000.00.02.X01"]',
    }
    lines = a_client()._signed(given, OCTETS)
    assert header(lines, "sign-header-key") == (
        "systemid;servicetype;messagetype;hash-file;from;to;timestamp;Content-Type"
    )
    assert header(lines, "hash-header") == "ade140dfb9a854ac9e7a56bc145ea7833e4a13e29fcf7c0dbd097a66423f844a"
    assert next(name for name, _ in lines) == "Content-Type"
    assert ("User-Agent", AGENT) in lines


def test_fetching_is_signed_as_in_the_example() -> None:
    given = {"docId": "3f0c7b1e-52c1-4d5a-9a0e-0d2b6a1f4c11", "filePath": "in"}
    lines = a_client()._signed(given, JSON)
    assert header(lines, "hash-header") == "39188ee2a429501bda0bccadc1928b5142fc8373b210916a5090ff69d4811be8"


def test_the_digest_of_a_file_has_no_leading_zeros() -> None:
    assert hash_file(b"<edXML/>") == "8d55f6c7bf7cd534cf27a10e1bb5731c68279c3cb991cf4844774c685b3758"


def test_parameters_pile_up_and_the_timestamp_stays() -> None:
    client = a_client()
    client._signed({"docId": "a", "filePath": "in"}, JSON)
    client._signed({"docid": "b", "status": "done"}, JSON)
    lines = client._signed({"messagetype": "edoc"}, JSON)
    assert header(lines, "status") == "done"
    assert header(lines, "docId") == "a"
    assert header(lines, "timestamp") == "02052024T080000+0123"


def test_json_escapes_quotation_marks_and_backslashes_and_nothing_else() -> None:
    assert write_json([("a", "\"\\/<>&='ị")]) == '{"a":"\\"\\\\/<>&=\'ị"}'


def test_the_secret_is_used_as_text_even_when_it_looks_like_base64() -> None:
    parameters = [("Content-Type", JSON)]
    looks = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlYzM="
    assert sign(parameters, looks)[-3][1] != sign(parameters, "secret-secret-secret-secret-sec3")[-3][1]
