"""What a dialect's door asks of routing besides what every sender and addressee asks."""

from uuid import UUID

from pydantic import Field

from shared.contracts.base import Contract, Moment, Operation
from shared.contracts.routing.receiving import OpenBlob
from shared.contracts.routing.states import DeliveryState


class SubmitStatus(Contract):
    """
    A status package that lies in the blob store is to be accepted.

    Attributes:
        sender: A dialect's word for `From`; another agency than the package's is refused.
        addressees: Whom a take-back (13) goes to, where `ResponseFor` names none of the document's addressees; every
            other code goes to the document's sender, whatever stands here.
    """

    token: str
    packet_sha256: str
    packet_bytes: int
    sender: str | None = Field(default=None, max_length=200)
    addressees: tuple[str, ...] = ()
    idempotency_key: str | None = Field(default=None, max_length=255)


class StatusSubmitted(Contract):
    """
    The status is recorded.

    Attributes:
        created: False where the same was recorded before.
        status_id: Of the entry; of the first one where a take-back goes to several.
    """

    created: bool
    status_id: UUID


class ListStatusItems(Contract):
    """
    Statuses that wait for the caller's agencies, oldest first.
    """

    token: str
    limit: int = Field(default=50, ge=1, le=500)
    cursor: str | None = None


class StatusItem(Contract):
    """
    One status on its way to an agency.

    Attributes:
        code: `01` to `06`, `13`, `15`, `16`.
        sender_document_id: DocumentId of the document it is about.
        state: `available` or `fetched` while it waits; `delivered` or `failed` once it is acknowledged.
    """

    status_id: UUID
    document_id: UUID
    delivery_id: UUID
    from_agency: str
    to_agency: str
    code: str
    sender_document_id: str
    state: DeliveryState
    created_at: Moment
    changed_at: Moment


class StatusItemPage(Contract):
    """
    A page of waiting statuses.

    Attributes:
        agency_keys: Agencies the list was made for, so that whoever waits knows which hints concern it.
    """

    items: tuple[StatusItem, ...]
    next_cursor: str | None = None
    agency_keys: tuple[UUID, ...] = ()


class ChooseStatus(Contract):
    """
    One status that is addressed to an agency of the caller.
    """

    token: str
    status_id: UUID


class AcknowledgeStatus(Contract):
    """
    The receiving system took the status, or could not; it need not have fetched it.
    """

    token: str
    status_id: UUID
    result: str = Field(pattern=r"^(done|fail)$")


class StatusAcknowledged(Contract):
    """
    The acknowledgement as it stands; `created` is False for a repeat.
    """

    created: bool
    status_id: UUID
    state: DeliveryState
    acknowledged_at: Moment


class ListSent(Contract):
    """
    What the caller's agencies sent, one row for each document and addressee, newest first.

    Attributes:
        document_id: Of one document only.
        since, until: Accepted from the one moment on, before the other.
    """

    token: str
    document_id: UUID | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: int = Field(default=100, ge=1, le=500)
    cursor: str | None = None


class SentItem(Contract):
    """
    One addressee's share of a document.

    Attributes:
        delivery_id, state: None while it has not been opened.
        notation: Number and notation of the document.
        business_type: 0 a new document, 1 a recall, 2 an update, 3 a replacement.
        changed_at: When it came into its state.
        acknowledged_at: When the receiving system said that it took the packet, or could not, in this series.
        status: The last business status.
        status_at: When that was reported.
    """

    document_id: UUID
    delivery_id: UUID | None = None
    sender: str
    sender_document_id: str
    addressee: str
    subject: str
    notation: str
    business_type: int = 0
    accepted_at: Moment
    available_at: Moment | None = None
    changed_at: Moment | None = None
    acknowledged_at: Moment | None = None
    state: DeliveryState | None = None
    reason_code: str | None = None
    status: str | None = None
    status_at: Moment | None = None


class SentPage(Contract):
    """
    A page of what was sent.
    """

    items: tuple[SentItem, ...]
    next_cursor: str | None = None


class CountInbox(Contract):
    """
    How much waits for the caller's agencies.
    """

    token: str


class InboxCounts(Contract):
    """
    Documents and statuses that wait, the same that the lists would give.
    """

    documents: int
    statuses: int


SUBMIT_STATUS = Operation("routing.submit_status", SubmitStatus, StatusSubmitted)
LIST_STATUS_ITEMS = Operation("routing.list_status_items", ListStatusItems, StatusItemPage)
OPEN_STATUS = Operation("routing.open_status", ChooseStatus, OpenBlob)
ACKNOWLEDGE_STATUS = Operation("routing.acknowledge_status", AcknowledgeStatus, StatusAcknowledged)
LIST_SENT = Operation("routing.list_sent", ListSent, SentPage)
COUNT_INBOX = Operation("routing.count_inbox", CountInbox, InboxCounts)
