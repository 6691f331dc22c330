"""What the doctor says."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """
    One thing looked at.

    Attributes:
        check: What was looked at, a word for scripts.
        ok: Nothing to do.
        what: What was found, in Vietnamese and in English.
        remedy: What to do, in both; empty when all is well.
    """

    check: str
    ok: bool
    what: str
    remedy: str = ""


def good(check: str, vi: str, en: str) -> Finding:
    """
    Say that something is well.
    """
    return Finding(check, ok=True, what=f"{vi} / {en}")


def bad(check: str, what: tuple[str, str], remedy: tuple[str, str]) -> Finding:
    """
    Say that something is wrong, and the remedy; each in Vietnamese, then in English.
    """
    return Finding(check, ok=False, what=" / ".join(what), remedy=" / ".join(remedy))


def sample(names: list[str], most: int = 5) -> str:
    """
    Name a few of many.
    """
    return ", ".join(names[:most]) + (f" … ({len(names)})" if len(names) > most else "")
