"""What the registry answers, publishes and hints."""

import hashlib
from datetime import date
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

import rfc8785
from pydantic import Field

from shared.contracts.base import MAX_ITEMS, Contract, Event, Health, Hint, Moment, Nothing, Operation


class Scope(StrEnum):
    """
    What a token may be used for.
    """

    SEND = "send"
    INBOX = "inbox"
    ACKNOWLEDGE = "acknowledge"
    OPERATE = "operate"
    REGISTER = "register"
    APPROVE = "approve"


class Role(StrEnum):
    """
    What a system may do for an agency.
    """

    SENDER = "sender"
    """Posts documents of the agency and seals them."""
    READER = "reader"
    """Sees the agency's mailbox."""
    RECEIVER = "receiver"
    """The one system that acknowledges for the agency; it reads the mailbox too."""


class SystemStatus(StrEnum):
    """
    Whether a system may connect.
    """

    ACTIVE = "active"
    DISABLED = "disabled"


# --- the read model others keep -------------------------------------------------------------------------------------


class AgencyEntry(Contract):
    """
    An agency as the read models keep it.

    Attributes:
        key: Immutable internal key.
        code: Identifier, new form.
        code102: Identifier, old form; None where none exists.
        level: `central`, `province`, `district` or `commune`.
        valid_from: First moment of validity.
        valid_to: Exclusive end; None while open.
        serving_node: Node whose mailboxes serve it.
    """

    key: UUID
    code: str
    code102: str | None = None
    name: str
    level: str
    kind: str
    parent: str | None = None
    valid_from: Moment
    valid_to: Moment | None = None
    serving_node: str

    def is_open_at(self, moment: Moment) -> bool:
        """
        Tell whether the agency is valid at a moment.
        """
        return self.valid_from <= moment and (self.valid_to is None or moment < self.valid_to)


class Grant(Contract):
    """
    A system may act for an agency in a role.
    """

    agency_key: UUID
    role: Role


class SealBinding(Contract):
    """
    A certificate whose signatures count as seals of a system.
    """

    certificate_sha256: str
    valid_from: Moment
    valid_to: Moment


class SystemEntry(Contract):
    """
    A system as the read models keep it; any change replaces the whole entry.

    Attributes:
        credentials: Identifiers of the credentials that are still good.
        seals: Certificates bound for `seal`, those revoked left out.
    """

    id: str
    name: str
    dialect: str
    status: SystemStatus
    grants: tuple[Grant, ...]
    credentials: tuple[str, ...]
    seals: tuple[SealBinding, ...]


class ReadChanges(Contract):
    """
    Everything that changed after a version; from 0 it is the snapshot.
    """

    after: int = Field(ge=0)
    limit: int = Field(default=500, ge=1, le=500)


class Changes(Contract):
    """
    A page of the register, signed.

    Attributes:
        after: Version asked for.
        version: Version the reader stands at once it has applied this page.
        latest: Newest version there is; more pages follow while `version < latest`.
        statement: Compact JWS `axis-snapshot` over `after`, `version`, `latest`, `time` and `items_sha256`, the hex
            digest of the RFC 8785 form of `{"agencies": […], "systems": […]}`; empty until it is signed.
    """

    after: int
    version: int
    latest: int
    agencies: tuple[AgencyEntry, ...]
    systems: tuple[SystemEntry, ...]
    statement: str = ""

    def items_sha256(self) -> str:
        """
        Digest what the page carries. Takes milliseconds for a full one, so it belongs off the event loop.
        """
        items = self.model_dump(mode="json", include={"agencies", "systems"})
        return hashlib.sha256(rfc8785.dumps(items)).hexdigest()


class RegistryBeat(Hint):
    """
    Each second: the register stands at this version.
    """

    topic: ClassVar[str] = "registry.beat"
    version: int
    at: Moment


# --- tokens ----------------------------------------------------------------------------------------------------------


class IssueToken(Contract):
    """
    Client credentials: either id and secret, or an assertion signed with the system's certificate key.

    Attributes:
        scopes: Scopes asked for; empty: all the credential has.
        agencies: Codes to narrow the token to; empty: not narrowed.
    """

    client_id: str | None = None
    client_secret: str | None = None
    client_assertion: str | None = Field(default=None, max_length=16_384)
    scopes: tuple[str, ...] = ()
    agencies: tuple[str, ...] = ()


class TokenIssued(Contract):
    """
    A fresh access token.

    Attributes:
        expires_in: Seconds.
    """

    access_token: str
    expires_in: int
    scopes: tuple[str, ...]


# --- agencies --------------------------------------------------------------------------------------------------------


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


# --- systems and registrations ---------------------------------------------------------------------------------------


class KeyRequest(Contract):
    """
    A certificate signing request for a purpose: `seal` or `auth`.
    """

    purpose: str
    csr: str = Field(max_length=16_384)


class AddSystem(Contract):
    """
    Add a system by an administrator.

    Attributes:
        agencies: Codes it acts for.
        roles: Roles it gets for each of them.
        scopes: Scopes of its credential.
        keys: Requests for certificates.
    """

    token: str
    system_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{1,63}$")
    name: str = Field(min_length=1, max_length=200)
    dialect: str = "rest"
    agencies: tuple[str, ...] = ()
    roles: tuple[Role, ...] = (Role.SENDER, Role.READER, Role.RECEIVER)
    scopes: tuple[Scope, ...] = (Scope.SEND, Scope.INBOX, Scope.ACKNOWLEDGE)
    keys: tuple[KeyRequest, ...] = ()


class IssuedKey(Contract):
    """
    A certificate with its chain, PEM.
    """

    purpose: str
    certificate: str
    chain: tuple[str, ...]


class Credential(Contract):
    """
    What a system needs to connect; the secret is shown this once.

    Attributes:
        warnings: What could not be granted, in words, such as an agency that has a receiving system already.
    """

    system_id: str
    credential_id: str
    secret: str
    scopes: tuple[str, ...]
    agencies: tuple[str, ...] = ()
    keys: tuple[IssuedKey, ...] = ()
    warnings: tuple[str, ...] = ()


class ListSystems(Contract):
    """
    A page of systems.
    """

    token: str
    limit: int = Field(default=100, ge=1, le=500)
    cursor: str | None = None


class SystemPage(Contract):
    """
    A page of systems by id.
    """

    items: tuple[SystemEntry, ...]
    next_cursor: str | None = None


class RotateCredential(Contract):
    """
    Give a system a second credential; the old ones end after the overlap.
    """

    token: str
    system_id: str
    overlap_hours: int = Field(default=24, ge=0, le=720)


class SetSystemStatus(Contract):
    """
    Disable or enable a system; refused everywhere within 5 seconds.
    """

    token: str
    system_id: str
    status: SystemStatus
    reason: str = ""


class RevokeCertificate(Contract):
    """
    Take a certificate out of use: its binding ends and it goes on the revocation list.
    """

    token: str
    certificate_sha256: str
    reason: str = "unspecified"


class RegistrationStatus(StrEnum):
    """
    Where a registration stands.
    """

    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    HANDED_OVER = "handed-over"


class Register(Contract):
    """
    An integrator asks for a system that acts for agencies.

    Attributes:
        keys: Requests for certificates; the private keys stay with the integrator.
    """

    system_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{1,63}$")
    system_name: str = Field(min_length=1, max_length=200)
    contact_name: str = Field(min_length=1, max_length=200)
    contact_email: str = Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")
    agencies: tuple[str, ...] = Field(min_length=1, max_length=200)
    keys: tuple[KeyRequest, ...] = Field(min_length=1, max_length=2)
    idempotency_key: str | None = None


class Registered(Contract):
    """
    The registration waits for a registrar.

    Attributes:
        claim_token: Shown once; needed to see the registration and to take the credential.
    """

    id: UUID
    claim_token: str
    status: RegistrationStatus


class ReadRegistration(Contract):
    """
    A registration, seen by whoever holds its claim token.
    """

    id: UUID
    claim_token: str


class RegistrationView(Contract):
    """
    A registration and who has to act next.

    Attributes:
        warnings: What the approval could not grant, in words.
    """

    id: UUID
    status: RegistrationStatus
    system_id: str
    system_name: str
    contact_name: str
    contact_email: str
    agencies: tuple[str, ...]
    reason: str | None = None
    created_at: Moment
    decided_at: Moment | None = None
    next_step: str
    warnings: tuple[str, ...] = ()


class ListRegistrations(Contract):
    """
    A page of registrations for the registrar, oldest first.
    """

    token: str
    status: RegistrationStatus | None = None
    limit: int = Field(default=100, ge=1, le=500)
    cursor: str | None = None


class RegistrationPage(Contract):
    """
    A page of registrations.
    """

    items: tuple[RegistrationView, ...]
    next_cursor: str | None = None


class DecideRegistration(Contract):
    """
    Approve or refuse; a refusal needs a reason. The same decision again changes nothing.
    """

    token: str
    id: UUID
    approve: bool
    reason: str = ""


# --- webhooks --------------------------------------------------------------------------------------------------------


class WebhookState(StrEnum):
    """
    Where a webhook endpoint stands.
    """

    PENDING = "pending"
    """Waits for the endpoint to answer the handshake."""
    ACTIVE = "active"
    DISABLED = "disabled"


class AddWebhook(Contract):
    """
    An endpoint that wants thin notifications about agencies of the caller.
    """

    token: str
    url: str = Field(max_length=2_000)
    agencies: tuple[str, ...] = ()
    idempotency_key: str | None = None


class WebhookView(Contract):
    """
    An endpoint as its owner sees it; the secret (`whsec_…`) only in the answer that created it.
    """

    id: UUID
    url: str
    agencies: tuple[str, ...]
    state: WebhookState
    reason: str | None = None
    created_at: Moment
    secret: str | None = None


class ListWebhooks(Contract):
    """
    The endpoints of the caller's system.
    """

    token: str


class Webhooks(Contract):
    """
    Endpoints of one system.
    """

    items: tuple[WebhookView, ...]


class ChooseWebhook(Contract):
    """
    One endpoint of the caller's system.
    """

    token: str
    id: UUID


class ReadEndpoints(Contract):
    """
    For the delivery service: active endpoints of agencies, or named ones in any state.
    """

    agency_keys: tuple[UUID, ...] = Field(default=(), max_length=MAX_ITEMS)
    webhook_ids: tuple[UUID, ...] = Field(default=(), max_length=MAX_ITEMS)


class Endpoint(Contract):
    """
    An endpoint with what is needed to call it.

    Attributes:
        agency_keys: The asked-for agencies that it wants to hear about.
        secret: `whsec_` and base64; for signing, never logged.
    """

    webhook_id: UUID
    system_id: str
    url: str
    state: WebhookState
    agency_keys: tuple[UUID, ...]
    secret: str


class Endpoints(Contract):
    """
    Endpoints found.
    """

    items: tuple[Endpoint, ...]


class SetWebhookState(Contract):
    """
    The delivery service reports that an endpoint answered the handshake, or that it must be switched off.
    """

    webhook_id: UUID
    state: WebhookState
    reason: str = ""


# --- events ----------------------------------------------------------------------------------------------------------


class AgenciesChanged(Event):
    """
    Agencies were added or changed; at most 500 keys an event.
    """

    topic: ClassVar[str] = "registry.agencies_changed.v1"
    version: int
    keys: tuple[UUID, ...]


class SystemsChanged(Event):
    """
    Systems, their grants, credentials or certificates changed.
    """

    topic: ClassVar[str] = "registry.systems_changed.v1"
    version: int
    system_ids: tuple[str, ...]
    change: str


class RegistrationsChanged(Event):
    """
    A registration was made, decided or handed over.
    """

    topic: ClassVar[str] = "registry.registrations_changed.v1"
    registration_id: UUID
    system_id: str
    status: RegistrationStatus


class WebhooksChanged(Event):
    """
    An endpoint was added, confirmed, switched off or removed.
    """

    topic: ClassVar[str] = "registry.webhooks_changed.v1"
    webhook_id: UUID
    system_id: str
    change: str


ISSUE_TOKEN = Operation("registry.issue_token", IssueToken, TokenIssued)
READ_CHANGES = Operation("registry.read_changes", ReadChanges, Changes)
LIST_AGENCIES = Operation("registry.list_agencies", ListAgencies, AgencyPage)
READ_AGENCY = Operation("registry.read_agency", ReadAgency, AgencyEntry)
IMPORT_AGENCIES = Operation("registry.import_agencies", ImportAgencies, ImportReport)
ADD_SYSTEM = Operation("registry.add_system", AddSystem, Credential)
LIST_SYSTEMS = Operation("registry.list_systems", ListSystems, SystemPage)
ROTATE_CREDENTIAL = Operation("registry.rotate_credential", RotateCredential, Credential)
SET_SYSTEM_STATUS = Operation("registry.set_system_status", SetSystemStatus, SystemEntry)
REVOKE_CERTIFICATE = Operation("registry.revoke_certificate", RevokeCertificate, SystemEntry)
REGISTER = Operation("registry.register_system", Register, Registered)
READ_REGISTRATION = Operation("registry.read_registration", ReadRegistration, RegistrationView)
LIST_REGISTRATIONS = Operation("registry.list_registrations", ListRegistrations, RegistrationPage)
DECIDE_REGISTRATION = Operation("registry.decide_registration", DecideRegistration, RegistrationView)
HAND_OVER = Operation("registry.hand_over_credential", ReadRegistration, Credential)
ADD_WEBHOOK = Operation("registry.add_webhook", AddWebhook, WebhookView)
LIST_WEBHOOKS = Operation("registry.list_webhooks", ListWebhooks, Webhooks)
REMOVE_WEBHOOK = Operation("registry.remove_webhook", ChooseWebhook, Nothing)
READ_ENDPOINTS = Operation("registry.read_endpoints", ReadEndpoints, Endpoints)
SET_WEBHOOK_STATE = Operation("registry.set_webhook_state", SetWebhookState, Nothing)
READ_HEALTH = Operation("registry.read_health", Nothing, Health)
