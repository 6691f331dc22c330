"""Marks of state secrecy, which must not travel on the axis."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from shared.edxml.packet import Packet

SECRECY_WORDS: Final = ("TUYỆT MẬT", "TỐI MẬT", "MẬT")
"""The three degrees of state secrecy."""

_NO_MARK: Final = frozenset({"", "0", "thường"})
_SEPARATOR: Final = r"(?:[^\S\n]*[-\u2010-\u2015\u2212:\uFF1A\n])"
_OPENING: Final = r"[(\[{\uFF08\u3010]"
_CLOSING: Final = r"[)\]}\uFF09\u3011]"
_NOT_AFTER: Final = ("BẢO", "BÍ")


def find_secrecy_mark(packet: Packet, words: Sequence[str] = SECRECY_WORDS) -> str | None:
    """
    Find what marks a packet as a state secret.

    An element `Secrecy`, `SecurityLevel` or `DoMat` in the header whose value is neither empty, 0 nor thường; or a
    Subject or TypeName that begins or ends with one of the words in capitals as a mark of its own: in brackets, or set
    off by a dash, a colon or a line break. BẢO MẬT (security) and BÍ MẬT (confidential, of trade or love) are none.

    Args:
        packet: As read.
        words: The marks, in capitals.

    Returns:
        What matched and where, for the refusal; None when nothing did.

    Source:
        Luật Bảo vệ bí mật nhà nước 2018, điều 8.
    """
    for element in packet.secrecy_elements:
        if _normal(element.value).casefold().strip() not in _NO_MARK:
            return f"{element.name}: {element.value}"
    if packet.header is None:
        return None
    for name, text in (("Subject", packet.header.subject), ("TypeName", packet.header.document_type.name)):
        mark = find_mark_in_text(text, words)
        if mark is not None:
            return f"{name}: {mark}"
    return None


def find_mark_in_text(text: str, words: Sequence[str] = SECRECY_WORDS) -> str | None:
    """
    Give the secrecy word that a text begins or ends with as a mark of its own.
    """
    text = _normal(text).strip()
    for word in sorted((_normal(word) for word in words), key=len, reverse=True):
        # In the mark itself any white space separates the syllables, a line break too.
        mark = r"\s+".join(re.escape(syllable) for syllable in word.split())
        at_start = rf"(?:{_OPENING}\s*{mark}\s*{_CLOSING}|{mark}(?={_SEPARATOR}|[\s.!*]*\Z))"
        if re.match(at_start, text):
            return word
        at_end = rf"(?:{_SEPARATOR}\s*(?P<bare>{mark})|{_OPENING}\s*{mark}\s*{_CLOSING})[\s.!*]*\Z"
        found = re.search(at_end, text)
        if found and not (found["bare"] and text[: found.start()].rstrip().endswith(_NOT_AFTER)):
            return word
    return None


def _normal(text: str) -> str:
    # Composed letters, those of double width made plain, and no invisible characters that would hide a mark from us but
    # not from a reader.
    composed = unicodedata.normalize("NFKC", text)
    return "".join(character for character in composed if unicodedata.category(character) != "Cf").replace("\r", "\n")
