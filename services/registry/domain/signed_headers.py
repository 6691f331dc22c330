"""Headers signed with a shared secret: whom they name, and whether a secret has signed them."""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass

from services.registry.errors import SignatureRefused

# The bytes are searched and not parsed: nothing is known about their sender yet, and a megabyte of JSON made for the
# purpose would stop the event loop. The object is flat, so its pairs are a regular language; the quantifiers give
# nothing back, so the time is linear.
_TEXT = rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
_BARE = rb'[^\s",{}\[\]]++'
_PAIR = re.compile(rb"\s*+" + _TEXT + rb"\s*+:\s*+(?:" + _TEXT + rb"|" + _BARE + rb")\s*+([,}])", re.DOTALL)
_SYSTEM = b"XroadVnpt-systemid"
_SYSTEM_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{1,63}")
_MAC = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class ReadHeader:
    """
    A signed header, read; nothing is proved before `is_signed_with`.

    Attributes:
        content: The signed bytes.
        mac: The HMAC that came with them.
    """

    content: bytes
    mac: bytes
    system_id: str

    def is_signed_with(self, secret: str) -> bool:
        """
        Tell in constant time whether a secret, taken as text, has signed it.
        """
        expected = hmac.new(secret.encode(), self.content, hashlib.sha256).digest()
        return hmac.compare_digest(expected, self.mac)


def read_signed_header(signed_header: str, hash_header: str) -> ReadHeader:
    """
    Read a signed header, base64, and the HMAC in hexadecimal that came with it.

    Raises:
        SignatureRefused: It is not a flat JSON object that names a system, or the HMAC is none.
    """
    try:
        content = base64.b64decode(signed_header, validate=True)
    except ValueError as error:
        raise SignatureRefused("the signed header is missing or malformed") from error
    mac = hash_header.strip()
    if not _MAC.fullmatch(mac):
        raise SignatureRefused("the hash of the signed header is missing or is not 64 hexadecimal digits")
    return ReadHeader(content, bytes.fromhex(mac), _find_system_id(content))


def _find_system_id(content: bytes) -> str:
    opened = re.match(rb"\s*+\{", content)
    place = opened.end() if opened else len(content)
    while pair := _PAIR.match(content, place):
        name, value, ending = pair.groups()
        if name == _SYSTEM:
            if value is not None and _SYSTEM_ID.fullmatch(value):
                return value.decode("ascii")
            break
        if ending == b"}":
            break
        place = pair.end()
    raise SignatureRefused("the signed header is not a JSON object that names its system")
