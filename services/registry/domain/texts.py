"""Text from outside that goes into the register."""

from services.registry.errors import SystemInvalid
from shared.errors import FieldError


def check_line(pointer: str, text: str) -> None:
    """
    Refuse text that is not one line of printable characters.

    Raises:
        SystemInvalid: It holds control characters, or nothing but blanks.
    """
    if not text.isprintable() or not text.strip():
        error = FieldError(
            pointer=pointer, code=SystemInvalid.code, detail="one line of printable characters is needed"
        )
        raise SystemInvalid("a text cannot be used", errors=[error])


def clean_text(text: str) -> str:
    """
    Take out the one character that PostgreSQL cannot store; whatever was compared with it is unknown anyway.
    """
    return text.replace("\0", "")
