"""Rules of status packages: which document one is about, what of it is noted, and how we write one ourselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from services.routing.domain.statuses import content_digest
from shared.contracts.registry import AgencyEntry
from shared.contracts.routing import StaffInfo
from shared.edxml import MessageHeader, Organisation, Staff, StatusReport, StatusResponse

TAKE_BACK: Final = "13"
"""The one code that a document's sender says: it asks the addressees to give the document back."""

LONGEST_DESCRIPTION: Final = 2_000
"""As over REST; the package itself keeps what is beyond."""

_PARTS: Final = 3
"""Many systems make a DocumentId of sender, day and code, with commas between."""

_LONGEST_STAFF: Final = {"department": 200, "staff": 200, "mobile": 50, "email": 254}


@dataclass(frozen=True)
class Clue:
    """
    One way to find the document a status is about.

    Attributes:
        document_id: Its DocumentId; empty where the way is another.
        code: Its number and notation, joined.
        on: Its day of promulgation; None where nothing says it.
    """

    document_id: str = ""
    code: str = ""
    on: date | None = None


def clues(response_for: StatusResponse) -> tuple[Clue, ...]:
    """
    Give the ways to the document, the surest first: DocumentId, Code, the third part of a DocumentId made of three.
    """
    found = []
    if response_for.document_id:
        found.append(Clue(document_id=response_for.document_id))
    if response_for.code:
        found.append(Clue(code=response_for.code, on=response_for.promulgated_on))
    parts = response_for.document_id.split(",", 2)
    if len(parts) == _PARTS:
        found.append(Clue(code=parts[2].strip(), on=_day(parts[1])))
    return tuple(found)


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text.strip(), "%Y/%m/%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None


@dataclass(frozen=True)
class Noted:
    """
    What of a status package stands in our tables; every word of it is in its bytes.
    """

    code: str
    description: str
    staff: dict[str, Any] | None
    happened_at: datetime
    content_sha256: str


def note(status: StatusReport) -> Noted:
    """
    Take from a package what a status over REST says.

    A reason that is missing where we demand one is let pass: systems that have exchanged for years send none.
    """
    if status.reported_at is None:
        raise ValueError("the reader lets no status without Timestamp pass")
    description = status.description[:LONGEST_DESCRIPTION]
    staff = None if status.staff is None else _staff(status.staff)
    return Noted(
        code=status.code,
        description=description,
        staff=staff,
        happened_at=status.reported_at,
        content_sha256=content_digest(status.code, description, staff, status.reported_at),
    )


def _staff(staff: Staff) -> dict[str, Any] | None:
    cut = {name: getattr(staff, name)[:longest] for name, longest in _LONGEST_STAFF.items()}
    return StaffInfo.model_validate(cut).model_dump(mode="json") if any(cut.values()) else None


def write_report(
    *,
    reporter: AgencyEntry,
    header: Mapping[str, Any],
    document_code: str,
    code: str,
    description: str,
    staff: Mapping[str, Any] | None,
    at: datetime,
) -> StatusReport:
    """
    Say in a package what was reported over REST, in the words of the document's own header: its sender must find the
    identifiers it wrote.

    Args:
        reporter: Who reported.
        header: The header of the document as it was accepted.
        document_code: Its number and notation, joined.
        code: Of the status.
        description: Its words.
        staff: Who handled the document.
        at: When it happened.
    """
    document = MessageHeader.model_validate({name: value for name, value in header.items() if name != "trace"})
    own = {one.upper() for one in (reporter.code, reporter.code102) if one}
    written = (to.organ_id for to in document.addressees if to.organ_id.strip().upper() in own)
    person = None if staff is None else Staff(**{name: _legible(staff.get(name, "")) for name in _LONGEST_STAFF})
    return StatusReport(
        sender=Organisation(organ_id=next(written, reporter.code), name=reporter.name),
        response_for=StatusResponse(
            organ_id=document.sender.organ_id,
            code=document_code,
            document_id=document.document_id,
            promulgated_on=document.promulgation.on,
        ),
        staff=person,
        code=code,
        description=_legible(description),
        reported_at=at.replace(microsecond=0),
    )


def _legible(text: str) -> str:
    """Without what XML cannot hold; JSON can."""
    return "".join(one if one in "\t\n\r" or (one >= " " and one not in "\ufffe\uffff") else " " for one in text)
