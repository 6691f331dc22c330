"""
The headers of a call to a national axis are those its public clients send.
"""

import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest

from services.delivery.clients.vxp.signing import Credentials, sign, write_codes, write_hash, write_timestamp

CREDENTIALS = Credentials("demo.center.01", "demo-secret-key")
MOMENT = datetime(2024, 5, 2, 1, 0, 0, 123_000, tzinfo=UTC)


def test_the_published_example_gives_the_published_signature() -> None:
    headers = sign(CREDENTIALS, {}, content_type="application/json", now=MOMENT)
    assert headers["XroadVnpt-sign-header"] == (
        '{"XroadVnpt-systemid":"demo.center.01","XroadVnpt-timestamp":"02052024T080000+0123",'
        '"XroadVnpt-Content-Type":"application/json"}'
    )
    assert headers["XroadVnpt-hash-header"] == "84bd41ac604e6e8346d075caf5bc23051bc9168e40dde40a545a77e2bdf8d434"
    assert headers["XroadVnpt-sign-header-key"] == "systemid;timestamp;Content-Type"


def test_the_published_sending_to_two_units_gives_the_published_signature() -> None:
    digest = hashlib.sha256(b"<edXML/>").hexdigest()
    parameters = {
        "servicetype": "eDoc",
        "messagetype": "edoc",
        "hash-file": write_hash(digest),
        "from": "000.00.00.X01",
        "to": write_codes(["000.00.01.X01", "000.00.02.X01"]),
    }
    headers = sign(CREDENTIALS, parameters, content_type="application/octet-stream", now=MOMENT)
    assert headers["XroadVnpt-hash-file"] == "8d55f6c7bf7cd534cf27a10e1bb5731c68279c3cb991cf4844774c685b3758"
    assert headers["XroadVnpt-to"] == '["000.00.01.X01","000.00.02.X01"]'
    assert headers["XroadVnpt-hash-header"] == "ade140dfb9a854ac9e7a56bc145ea7833e4a13e29fcf7c0dbd097a66423f844a"


def test_what_is_signed_is_what_is_sent_beside_it() -> None:
    headers = sign(CREDENTIALS, {"docId": "a/b<c>&'\"\\"}, content_type="application/json", now=MOMENT)
    text = headers["XroadVnpt-sign-header"]
    assert {name: headers[name] for name in json.loads(text)} == json.loads(text)
    assert "a/b<c>&'" in text
    digest = hmac.new(b"demo-secret-key", text.encode(), hashlib.sha256).hexdigest()
    assert headers["XroadVnpt-hash-header"] == digest


def test_the_timestamp_is_vietnam_time_with_milliseconds_after_the_plus() -> None:
    assert write_timestamp(datetime(2024, 12, 31, 17, 4, 5, 7_999, tzinfo=UTC)) == "01012025T000405+0007"


@pytest.mark.parametrize("value", ["Lỗi", "a\r\nX: b", "tab\t", "\x00"])
def test_a_value_that_would_not_survive_as_a_header_is_never_sent(value: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        sign(CREDENTIALS, {"description": value}, content_type="application/json", now=MOMENT)


def test_the_secret_is_not_shown() -> None:
    assert "demo-secret-key" not in repr(CREDENTIALS)
