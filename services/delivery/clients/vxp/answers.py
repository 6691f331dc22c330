"""
What answers say, judged strictly: whatever is not clearly a success or a refusal is an answer we do not understand.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.delivery.clients.vxp.reading import NotAnAnswer
from services.delivery.domain.national import MessageType, TransferState
from services.delivery.errors import NationalAxisRefused, NationalAxisUnavailable

SYSTEM_ERROR: Final = "20"
"""The one code of the axis after which the same call may work."""

MAX_TEXT: Final = 500
MAX_ID: Final = 128


@dataclass(frozen=True)
class Listed:
    """
    An item of the inbox.

    Attributes:
        doc_id: To fetch it and to report on it.
        message_type: As the list was asked for.
        sender: Code of the agency it is from.
        addressee: Code of the agency it is for.
        state: What became of it so far; None where the axis uses a word of its own.
        created_time: As written; its form is the axis' own.
    """

    doc_id: str
    message_type: MessageType
    sender: str | None
    addressee: str | None
    state: TransferState | None
    created_time: str | None


@dataclass(frozen=True)
class SentRow:
    """
    What became of a package at one of its receivers; every member as the axis writes it.
    """

    sender_doc_id: str | None
    receiver_doc_id: str | None
    sender: str | None
    addressee: str | None
    title: str | None
    notation: str | None
    sent_time: str | None
    received_time: str | None
    send_state: str | None
    receive_state: str | None
    receive_state_text: str | None


@dataclass(frozen=True, slots=True)
class Unit:
    """
    A unit of the axis.

    Attributes:
        unit_id: The axis' own identifier.
        parent_id: That of the unit above.
        code: What packages call it.
        centre: Code of the system that serves it.
        version: Grows with each change.
        deleted: It was cancelled.
        modified: As written; its form is the axis' own.
    """

    unit_id: str | None
    parent_id: str | None
    code: str
    name: str | None
    email: str | None
    centre: str | None
    version: int | None
    deleted: bool
    modified: str | None


def judge(members: Mapping[str, Any]) -> None:
    """
    Accept an answer that says clearly that it is a success.

    Raises:
        NationalAxisRefused: It says clearly that it is none.
        NationalAxisUnavailable: The axis has a fault of its own.
        NotAnAnswer: It says neither.
    """
    status, code = members.get("status"), _code(members.get("ErrorCode"))
    if not isinstance(status, str) or code is None:
        raise NotAnAnswer("it lacks `status` or `ErrorCode`")
    succeeded = status.upper() == "OK"
    if not succeeded and status.upper() != "FAIL":
        raise NotAnAnswer(f"its status is neither OK nor FAIL but {shown(status)}")
    if succeeded != (code == "0"):
        raise NotAnAnswer(f"it contradicts itself: status {status}, error code {shown(code)}")
    if succeeded:
        return
    text = shown(members.get("ErrorDesc"))
    if code == SYSTEM_ERROR:
        raise NationalAxisUnavailable(f"the national axis has a fault: {text or 'code 20'}")
    raise NationalAxisRefused(code, text)


def read_doc_id(members: Mapping[str, Any]) -> str:
    """
    Read what the axis calls a package it has taken.
    """
    doc_id = _text(members, "DocId", "the answer")
    if doc_id is None or not is_doc_id(doc_id):
        raise NotAnAnswer("it says OK without a usable DocId")
    return doc_id


def read_count(members: Mapping[str, Any]) -> int:
    """
    Read a counter.
    """
    count = members.get("count")
    if isinstance(count, str) and count.isascii() and count.isdigit():
        count = int(count[:18])
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise NotAnAnswer("it says OK without a usable count")
    return count


def read_listed(item: object, asked: MessageType) -> Listed:
    """
    Read an item of the inbox.
    """
    members = _members(item, "item of the inbox")
    doc_id = _text(members, "docId", "item of the inbox")
    if doc_id is None or not is_doc_id(doc_id):
        raise NotAnAnswer("an item of the inbox has no usable docId")
    state = (_text(members, "status", "item of the inbox") or "").lower()
    return Listed(
        doc_id=doc_id,
        message_type=asked,
        sender=_text(members, "from", "item of the inbox"),
        addressee=_text(members, "to", "item of the inbox"),
        state=TransferState(state) if state in set(TransferState) else None,
        created_time=_text(members, "created_time", "item of the inbox"),
    )


def read_sent_row(item: object) -> SentRow:
    """
    Read a row of what was sent.
    """
    members = _members(item, "row of the sent list")

    def text(name: str) -> str | None:
        return _text(members, name, "row of the sent list")

    return SentRow(
        sender_doc_id=text("senderDocId"),
        receiver_doc_id=text("receiverDocId"),
        sender=text("fromCode"),
        addressee=text("toCode"),
        title=text("title"),
        notation=text("notation"),
        sent_time=text("sentTime"),
        received_time=text("receivedTime"),
        send_state=text("sendStatus"),
        receive_state=text("receiveStatus"),
        receive_state_text=text("receiveStatusDesc"),
    )


def read_unit(item: object) -> Unit:
    """
    Read a unit of the list with versions.
    """
    members = _members(item, "unit")
    code = _text(members, "code", "unit")
    if not code:
        raise NotAnAnswer("a unit has no code")
    version = _text(members, "version", "unit")
    return Unit(
        unit_id=_text(members, "id", "unit"),
        parent_id=_text(members, "pid", "unit"),
        code=code,
        name=_text(members, "name", "unit"),
        email=_text(members, "mail", "unit"),
        centre=_text(members, "centerCode", "unit"),
        version=int(version) if version and version.isascii() and version.isdigit() else None,
        deleted=members.get("deleted") is True or str(members.get("deleted")).lower() in {"true", "1"},
        modified=_text(members, "modifyDate", "unit"),
    )


def is_doc_id(text: str) -> bool:
    """
    Tell whether an identifier can travel in a header again; what it looks like otherwise is the axis' affair.
    """
    return 0 < len(text) <= MAX_ID and text.isascii() and text.isprintable()


def shown(text: object) -> str:
    """
    Make foreign words fit for a log line: one line, no control characters, not too long.
    """
    if not isinstance(text, str):
        return ""
    plain = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text[: 4 * MAX_TEXT])
    return " ".join(plain.split())[:MAX_TEXT]


def plain(text: str) -> str:
    """
    Write Vietnamese without its marks, as far as that is ASCII: nothing else survives as a parameter.
    """
    bare = unicodedata.normalize("NFD", shown(text)).replace("đ", "d").replace("Đ", "D")
    return bare.encode("ascii", "ignore").decode()


def _code(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.strip() if isinstance(value, str) and value.strip() else None


def _members(item: object, what: str) -> Mapping[str, Any]:
    if not isinstance(item, dict):
        raise NotAnAnswer(f"a {what} is no object")
    return item


def _text(members: Mapping[str, Any], name: str, what: str) -> str | None:
    # Null and absent mean the same to us, and a number is as good as its digits; a list is not one of its entries.
    value = members.get(name)
    if isinstance(value, str | None):
        return value or None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise NotAnAnswer(f"{name} of {what} is neither text nor a number")
