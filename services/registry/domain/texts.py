"""Text from outside that goes into the register."""

from services.registry.errors import SystemInvalid
from shared.errors import FieldError

MIN_SECRET = 12
MAX_SECRET = 256


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


def check_secret(secret: str) -> None:
    """
    Refuse a secret that is too short to sign with, or that a file or a form would change.

    Raises:
        SystemInvalid: It is not 12 to 256 printable ASCII characters without blanks.
    """
    fits = MIN_SECRET <= len(secret) <= MAX_SECRET and secret.isascii() and secret.isprintable() and " " not in secret
    if not fits:
        detail = f"{MIN_SECRET} to {MAX_SECRET} printable ASCII characters without blanks are needed"
        error = FieldError(pointer="/secret", code=SystemInvalid.code, detail=detail)
        raise SystemInvalid("the secret cannot be used", errors=[error])


def clean_text(text: str) -> str:
    """
    Take out the one character that PostgreSQL cannot store; whatever was compared with it is unknown anyway.
    """
    return text.replace("\0", "")
