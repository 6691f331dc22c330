"""The directory of agencies, and its import."""

from datetime import date

from pydantic import Field

from shared.contracts.base import Contract, Moment, Operation
from shared.contracts.registry.changes import AgencyEntry


class ListAgencies(Contract):
    """
    A page of the directory. `query` ignores accents, case and the letter đ, and matches codes too.
    """

    query: str = ""
    level: str | None = None
    parent: str | None = None
    at: Moment | None = None
    limit: int = Field(default=50, ge=1, le=500)
    cursor: str | None = None


class AgencyPage(Contract):
    """
    A page of agencies, sorted by their names in Vietnamese order.
    """

    items: tuple[AgencyEntry, ...]
    next_cursor: str | None = None


class ReadAgency(Contract):
    """
    One agency by either form of its identifier, as of a moment.
    """

    code: str
    at: Moment | None = None


class ImportAgencies(Contract):
    """
    A table of agencies to take into the register; all of it or nothing.

    Attributes:
        csv_sha256: Digest of the CSV file in the blob store.
        as_of: Rows valid on this day are taken; an end that lies later is left open.
        under: Codes whose whole subtree is taken; empty with no level: everything.
        levels: Levels taken besides.
        served_by: Serving node to write; None: this node.
        dry_run: Only report what would happen.
    """

    token: str
    csv_sha256: str
    as_of: date
    under: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    served_by: str | None = None
    dry_run: bool = False


class LineError(Contract):
    """
    What is wrong with one line of an import; lines are counted from 1, the heading included.
    """

    line: int
    code: str
    detail: str


class ImportReport(Contract):
    """
    What an import did, or would do.
    """

    added: int
    changed: int
    unchanged: int
    passed_over: int
    errors: tuple[LineError, ...] = ()
    version: int
    dry_run: bool


LIST_AGENCIES = Operation("registry.list_agencies", ListAgencies, AgencyPage)
READ_AGENCY = Operation("registry.read_agency", ReadAgency, AgencyEntry)
IMPORT_AGENCIES = Operation("registry.import_agencies", ImportAgencies, ImportReport)
