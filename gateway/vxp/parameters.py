"""The signed copy of the parameters: which bytes were signed, and what they say."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.vxp.errors import VxpHeaderMismatch, VxpHeaderNotAscii, VxpRequestInvalid
from shared.contracts.registry import MAX_SIGNED_HEADER_BYTES, SignedHeader

PREFIX: Final = "XroadVnpt-"
_SIGNED: Final = b"xroadvnpt-sign-header"
_HASH: Final = b"xroadvnpt-hash-header"
_MAX_HASH: Final = 256

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class SignedBytes:
    """
    What proves a call, as it came.

    Attributes:
        text: The bytes of `XroadVnpt-sign-header`: the HMAC is over these and no others, since no one can know in
            which order a client writes its parameters.
        hash_header: The HMAC, in hexadecimal.
    """

    text: bytes
    hash_header: str

    def question(self, source: str) -> SignedHeader:
        """
        Put what the registry is to check into words.
        """
        text = base64.b64encode(self.text).decode()
        return SignedHeader(signed_header=text, hash_header=self.hash_header, source=source)

    @property
    def is_ascii(self) -> bool:
        """
        Tell whether every letter came over: most clients send only the low byte of each UTF-16 unit.
        """
        return all(0x20 <= byte < 0x7F for byte in self.text)


@dataclass(frozen=True)
class Parameters:
    """
    Parameters of a call by their exact names, without the prefix.

    A client object keeps those of all its earlier calls and signs them again: an operation reads its own and no
    others.
    """

    values: Mapping[str, str]

    def get(self, *names: str) -> str:
        """
        Read the first of these that is there and not empty; empty where none is.
        """
        return next((self.values[name] for name in names if self.values.get(name)), "")

    def need(self, *names: str) -> str:
        """
        Read the first of these.

        Raises:
            VxpRequestInvalid: None of them is there.
        """
        value = self.get(*names)
        if not value:
            raise VxpRequestInvalid(f"Thiếu tham số {names[0]}. / The parameter {names[0]} is missing.")
        return value


def read_signed_bytes(headers: Headers) -> SignedBytes:
    """
    Find what proves a call.

    Raises:
        VxpRequestInvalid: There is nothing, or too much.
    """
    found = dict(headers)
    text, hash_header = found.get(_SIGNED), found.get(_HASH)
    if not text or not hash_header or len(hash_header) > _MAX_HASH:
        raise VxpRequestInvalid(
            "Thiếu XroadVnpt-sign-header hoặc XroadVnpt-hash-header. / XroadVnpt-sign-header or XroadVnpt-hash-header "
            "is missing."
        )
    if len(text) > MAX_SIGNED_HEADER_BYTES:
        raise VxpRequestInvalid("XroadVnpt-sign-header quá dài. / XroadVnpt-sign-header is too long.")
    return SignedBytes(text, hash_header.decode("latin-1").strip())


def read_parameters(signed: SignedBytes, headers: Headers) -> Parameters:
    """
    Read the parameters out of bytes that were proved; loose headers are only held against them.

    Raises:
        VxpRequestInvalid: The bytes are no JSON object of texts.
        VxpHeaderMismatch: A loose header has a value that was not signed.
    """
    try:
        entries = json.loads(signed.text)
    except (ValueError, RecursionError):
        entries = None
    if not isinstance(entries, dict):
        raise VxpRequestInvalid("XroadVnpt-sign-header is not a JSON object")
    values = {name: _text(value) for name, value in entries.items()}
    if any("\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value) for value in values.values()):
        raise VxpRequestInvalid("NUL and half surrogate pairs may stand nowhere in a parameter")
    _check_loose(values, headers)
    return Parameters({name.removeprefix(PREFIX): value for name, value in values.items()})


def not_ascii() -> VxpHeaderNotAscii:
    """
    The refusal of a call whose signature does not fit because letters were lost.
    """
    return VxpHeaderNotAscii(
        "Tham số có chữ ngoài ASCII nên không kiểm tra được chữ ký; hãy bỏ dấu (ví dụ `description`). / A parameter "
        "has letters beyond ASCII, which this client garbles; leave the accents out, for example of `description`."
    )


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise VxpRequestInvalid("a parameter in XroadVnpt-sign-header is no text")
    return str(value)


def _check_loose(signed: Mapping[str, str], headers: Headers) -> None:
    # Names are alike on the line whatever their capitals, and of two that are alike one stack sends only the last:
    # it is enough that a value was signed under some spelling of its name.
    known: dict[bytes, set[bytes]] = {}
    for name, value in signed.items():
        known.setdefault(name.lower().encode(), set()).add(_squeezed(value.encode()))
    for line, loose in headers:
        if line in known and _squeezed(loose) not in known[line]:
            title = line.decode("latin-1")
            raise VxpHeaderMismatch(
                f"Header {title} khác với giá trị đã ký. / The header {title} is not what was signed."
            )


def _squeezed(value: bytes) -> bytes:
    """Leave blanks out: servers take them from the ends, and stacks fold lines."""
    return b"".join(value.split())
