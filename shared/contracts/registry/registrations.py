"""Integrators asking for a system."""

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Contract, Moment, Operation
from shared.contracts.registry.systems import Credential, KeyRequest


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


REGISTER = Operation("registry.register_system", Register, Registered)
READ_REGISTRATION = Operation("registry.read_registration", ReadRegistration, RegistrationView)
LIST_REGISTRATIONS = Operation("registry.list_registrations", ListRegistrations, RegistrationPage)
DECIDE_REGISTRATION = Operation("registry.decide_registration", DecideRegistration, RegistrationView)
HAND_OVER = Operation("registry.hand_over_credential", ReadRegistration, Credential)
