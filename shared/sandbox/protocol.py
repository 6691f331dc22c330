"""What travels between the pool and a worker: JSON behind its length."""

import json
from typing import Any, BinaryIO, Final

from shared.errors import FieldError, Rejected, RejectedElsewhere, Unavailable

LENGTH_BYTES: Final = 4
MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
"""A packet with ten thousand attachments is described in about 5 MB."""


class FrameTooLargeError(Exception):
    """
    The other side wants to send more than it may.
    """


def frame(message: dict[str, Any]) -> bytes:
    """
    Put a message into the form it travels in.

    Raises:
        FrameTooLargeError: It is larger than 64 MiB.
    """
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    if len(body) > MAX_FRAME_BYTES:
        raise FrameTooLargeError(f"{len(body)} bytes")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def length_of(prefix: bytes) -> int:
    """
    Read the length before a message.

    Raises:
        FrameTooLargeError: It is larger than 64 MiB.
    """
    length = int.from_bytes(prefix, "big")
    if length > MAX_FRAME_BYTES:
        raise FrameTooLargeError(f"{length} bytes")
    return length


def read_frame(stream: BinaryIO) -> dict[str, Any] | None:
    """
    Read the next message; None when the other side has closed.
    """
    prefix = stream.read(LENGTH_BYTES)
    if len(prefix) < LENGTH_BYTES:
        return None
    length = length_of(prefix)
    body = stream.read(length)
    return parse(body) if len(body) == length else None


def parse(body: bytes) -> dict[str, Any]:
    """
    Read a message.

    Raises:
        ValueError: It is not a JSON object.
    """
    message = json.loads(body)
    if not isinstance(message, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - one error for every malformed message
    return message


def describe_error(error: Rejected | Unavailable) -> dict[str, Any]:
    """
    Put an error of our tree into JSON.
    """
    if isinstance(error, Unavailable):
        return {"unavailable": error.detail}
    errors = [one.model_dump(mode="json") for one in error.errors]
    return {"rejected": {"code": error.problem_code, "detail": error.detail, "errors": errors}}


def rebuild_error(described: dict[str, Any]) -> Rejected:
    """
    Make the error again that a worker described.

    The class is found by its code among those that are loaded; a worker never names what is to be imported.
    """
    code, detail = str(described["code"]), str(described["detail"])
    errors = [FieldError.model_validate(one) for one in described["errors"]]
    for known in _descendants(Rejected):
        if known.code == code:
            return known(detail, errors=errors)
    return RejectedElsewhere(code, detail, errors=errors)


def _descendants(of: type[Rejected]) -> list[type[Rejected]]:
    found = []
    for child in of.__subclasses__():
        found += [child, *_descendants(child)]
    return found
