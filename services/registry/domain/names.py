"""Names of agencies: how they are searched, and how they are sorted in Vietnamese."""

import re
import unicodedata

MAX_WORDS = 8
"""More words than this narrow nothing and only make a query slow."""

_LETTERS = "aăâbcdđeêfghijklmnoôơpqrstuưvwxyz"
_BREVE, _CIRCUMFLEX, _HORN = "\u0306", "\u0302", "\u031b"
_TONES = {"\u0300": "1", "\u0309": "2", "\u0303": "3", "\u0301": "4", "\u0323": "5"}
"""Ngang, huyền, hỏi, ngã, sắc, nặng: the order of dictionaries and of the Unicode collation for Vietnamese."""

# One ASCII character per letter, above the digits, so that the order of code points is the order of the alphabet.
_RANKS = {letter: chr(ord("A") + position) for position, letter in enumerate(_LETTERS)}
_NUMBER = re.compile(r"\d{1,6}")
_CODE_LIKE = re.compile(r"[0-9A-Za-z._-]{1,35}")


def fold_name(name: str) -> str:
    """
    Take accents, the bar of đ and case away: what a search without accents compares.
    """
    plain = unicodedata.normalize("NFD", name.replace("đ", "d").replace("Đ", "D"))
    return " ".join("".join(char for char in plain if not unicodedata.combining(char)).casefold().split())


def sort_key(name: str) -> str:
    """
    Give text whose order by code points is the Vietnamese order of names.

    Letters decide first (ă, â, đ, ê, ô, ơ and ư are letters of their own), then tones; numbers go by value, and
    punctuation counts as a gap between words.
    """
    letters: list[str] = []
    tones: list[str] = []
    text = _NUMBER.sub(lambda number: number.group().zfill(6), name.casefold())
    for cluster in _clusters(unicodedata.normalize("NFD", text)):
        letter = unicodedata.normalize("NFC", cluster[0] + "".join(mark for mark in cluster[1:] if mark in _MARKS))
        if letter in _RANKS:
            letters.append(_RANKS[letter])
            tones.append(next((_TONES[mark] for mark in cluster[1:] if mark in _TONES), "0"))
        elif letter.isascii() and letter.isdigit():
            letters.append(letter)
        elif letters and letters[-1] != " ":
            letters.append(" ")
    return "".join(letters).rstrip() + "\t" + "".join(tones)


_MARKS = frozenset({_BREVE, _CIRCUMFLEX, _HORN})


def _clusters(decomposed: str) -> list[str]:
    clusters: list[str] = []
    for char in decomposed:
        if clusters and unicodedata.combining(char):
            clusters[-1] += char
        else:
            clusters.append(char)
    return clusters


def search_words(query: str) -> tuple[str, ...]:
    """
    Give the words that must all occur in a folded name.
    """
    # The one character that PostgreSQL cannot take separates words as any blank does.
    return tuple(fold_name(query.replace("\0", " ")).split()[:MAX_WORDS])


def search_codes(query: str) -> tuple[str, ...]:
    """
    Give the beginnings of codes that a query may mean: in capitals, and as it stands for the irregular ones.
    """
    code = query.strip()
    return tuple(dict.fromkeys((code.upper(), code))) if _CODE_LIKE.fullmatch(code) else ()
