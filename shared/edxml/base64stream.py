"""Base64 in pieces."""

import base64
import binascii
from typing import Final

_LINE_WHITESPACE: Final = b" \t\r\n"


class Base64Decoder:
    """
    Decodes base64 text as it arrives. Line breaks and spaces are skipped, anything else foreign is refused.
    """

    def __init__(self) -> None:
        self._carry = b""
        self._ended = False

    def feed(self, text: str) -> bytes:
        """
        Decode the next piece of text, of any length.

        Raises:
            ValueError: A character that is not base64, or anything after the padding.
        """
        if not text.isascii():
            raise ValueError("Only base64 data is allowed")
        octets = self._carry + text.encode("ascii").translate(None, _LINE_WHITESPACE)
        whole = len(octets) & ~3
        self._carry = octets[whole:]
        if not whole:
            return b""
        if self._ended:
            raise ValueError("Excess data after padding")
        decoded = binascii.a2b_base64(octets[:whole], strict_mode=True)
        self._ended = octets[whole - 1 : whole] == b"="
        return decoded

    def finish(self) -> None:
        """
        End the text.

        Raises:
            ValueError: It stops in the middle of a group of four.
        """
        if self._carry:
            raise ValueError("Incorrect padding")


class Base64Encoder:
    """
    Encodes bytes as they arrive, as one line.
    """

    def __init__(self) -> None:
        self._carry = b""

    def feed(self, octets: bytes) -> bytes:
        """
        Encode the next bytes.
        """
        octets = self._carry + octets
        whole = len(octets) - len(octets) % 3
        self._carry = octets[whole:]
        return base64.b64encode(octets[:whole])

    def finish(self) -> bytes:
        """
        Give what is left, padded.
        """
        return base64.b64encode(self._carry)
