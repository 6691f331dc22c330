"""Systems, their credentials and certificates."""

from pydantic import Field

from shared.contracts.base import Contract, Operation
from shared.contracts.registry.changes import SystemEntry
from shared.contracts.registry.signatures import SystemAccess
from shared.contracts.registry.terms import Role, Scope, SystemStatus


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
        secret: One that the other side has already; None: a fresh one is made. Only for dialect `vxp`.
        sources: Networks it may call from; empty: any. Only for dialect `vxp`.
    """

    token: str
    system_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{1,63}$")
    name: str = Field(min_length=1, max_length=200)
    dialect: str = "rest"
    agencies: tuple[str, ...] = ()
    roles: tuple[Role, ...] = (Role.SENDER, Role.READER, Role.RECEIVER)
    scopes: tuple[Scope, ...] = (Scope.SEND, Scope.INBOX, Scope.ACKNOWLEDGE)
    keys: tuple[KeyRequest, ...] = ()
    secret: str | None = Field(default=None, max_length=256)
    sources: tuple[str, ...] = Field(default=(), max_length=50)


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

    Attributes:
        accesses: Of those among them that have source ranges or were seen at an address.
    """

    items: tuple[SystemEntry, ...]
    next_cursor: str | None = None
    accesses: tuple[SystemAccess, ...] = ()


class RotateCredential(Contract):
    """
    Give a system a second credential; the old ones end after the overlap.

    Attributes:
        secret: One that the other side has already; None: a fresh one is made. Only for dialect `vxp`.
    """

    token: str
    system_id: str
    overlap_hours: int = Field(default=24, ge=0, le=720)
    secret: str | None = Field(default=None, max_length=256)


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


ADD_SYSTEM = Operation("registry.add_system", AddSystem, Credential)
LIST_SYSTEMS = Operation("registry.list_systems", ListSystems, SystemPage)
ROTATE_CREDENTIAL = Operation("registry.rotate_credential", RotateCredential, Credential)
SET_SYSTEM_STATUS = Operation("registry.set_system_status", SetSystemStatus, SystemEntry)
REVOKE_CERTIFICATE = Operation("registry.revoke_certificate", RevokeCertificate, SystemEntry)
