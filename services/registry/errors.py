"""
What the registry refuses.

    AxisError
    └── Rejected
        ├── NotFound                    no such agency, system, registration or endpoint
        ├── CursorInvalid               a page marker that is none of ours
        ├── InvalidClient               the client did not prove who it is
        ├── SignatureRefused            a signed header that no good secret has signed
        ├── SourceRefused               a signed header from an address it may not come from
        ├── UnitInvalid                 a unit that cannot be registered or cancelled like this
        ├── InvalidScope                more was asked for than the credential has
        ├── AgencyNotYours              an agency the system may not act for
        ├── AgenciesRefused             agencies unknown or closed, all named at once
        ├── CertificateRequestInvalid   a signing request that cannot be used
        ├── ImportRefused               a table that cannot even be read
        ├── SystemInvalid               a system that cannot be opened like this
        ├── SystemIdTaken               the name belongs to another system
        ├── ReasonMissing               a refusal without a reason
        ├── RegistrationDecided         the opposite was decided before
        ├── RegistrationNotApproved     nothing to hand over
        ├── AlreadyHandedOver           the credential is in use
        ├── TooMany                     too much waits already
        ├── WebhookInvalid              an address that cannot be called
        └── IdempotencyKeyReused        the same key with another request

Tokens missing, invalid or without the scope are refused by `shared.tokens`.
"""

from typing import ClassVar

from shared.errors import Rejected


class NotFound(Rejected):
    """
    There is no such thing, or it is not yours to see. Check the identifier.
    """

    code: ClassVar[str] = "not-found"


class CursorInvalid(Rejected):
    """
    The cursor is not one that this list has given out. Start again without a cursor.
    """

    code: ClassVar[str] = "cursor-invalid"


class InvalidClient(Rejected):
    """
    The client could not be authenticated: unknown or disabled system, wrong secret, ended credential, or an assertion
    that is malformed, expired, replayed or signed with another key. Check the credential; ask the operator for a new
    one.
    """

    code: ClassVar[str] = "invalid-client"


class SignatureRefused(Rejected):
    """
    The signed header proves nobody: unknown or disabled system, wrong or ended secret, a system of another dialect, or
    text whose bytes were changed on the way. Check system identifier and secret; keep parameters to ASCII.
    """

    code: ClassVar[str] = "vxp-signature"


class SourceRefused(Rejected):
    """
    The system may not call from this address. Call from a registered network, or have the operator add this one.
    """

    code: ClassVar[str] = "vxp-source"


class UnitInvalid(Rejected):
    """
    The unit cannot be registered or cancelled as asked for. The detail says what to change.
    """

    code: ClassVar[str] = "unit-invalid"


class InvalidScope(Rejected):
    """
    A scope was asked for that the credential does not have. Ask for fewer scopes, or for none to get all it has.
    """

    code: ClassVar[str] = "invalid-scope"


class AgencyNotYours(Rejected):
    """
    The system may not act for an agency named in the request. Leave it out, or have the grant registered.
    """

    code: ClassVar[str] = "agency-not-yours"


class AgenciesRefused(Rejected):
    """
    Agencies named in the request are unknown or closed; each is listed with its reason. Correct the codes.
    """

    code: ClassVar[str] = "agencies-refused"


class CertificateRequestInvalid(Rejected):
    """
    A certificate signing request cannot be used. Make a PKCS#10 request in PEM for an RSA key of 2048 bits or more,
    or for a P-256 key, at most one for `seal` and one for `auth`.
    """

    code: ClassVar[str] = "certificate-request-invalid"


class ImportRefused(Rejected):
    """
    The table of agencies cannot be taken: the file is too large, or the request names no file or serving node. Errors
    of single lines are not refusals; the report of the import lists them.
    """

    code: ClassVar[str] = "import-refused"


class SystemInvalid(Rejected):
    """
    The system cannot be opened as asked for. The detail says what to change.
    """

    code: ClassVar[str] = "system-invalid"


class SystemIdTaken(Rejected):
    """
    Another system, or a registration that is not refused, has this identifier. Choose another one.
    """

    code: ClassVar[str] = "system-id-taken"


class ReasonMissing(Rejected):
    """
    A registration can be refused only with a reason that its sender can act on.
    """

    code: ClassVar[str] = "reason-missing"


class RegistrationDecided(Rejected):
    """
    The opposite was decided about this registration before. Disable the system, or have the integrator register again.
    """

    code: ClassVar[str] = "registration-decided"


class RegistrationNotApproved(Rejected):
    """
    The registration waits for a registrar, or was refused, so there is no credential to hand over. Read the
    registration.
    """

    code: ClassVar[str] = "registration-not-approved"


class AlreadyHandedOver(Rejected):
    """
    The credential has got its first access token, so it is not shown again. If the secret is lost, ask the operator
    for a new one.
    """

    code: ClassVar[str] = "already-handed-over"


class TooMany(Rejected):
    """
    Too many registrations wait for a decision. Wait until some of them are decided.
    """

    code: ClassVar[str] = "too-many"


class WebhookInvalid(Rejected):
    """
    The address cannot be called. Give an absolute http or https URL without user name, password and fragment.
    """

    code: ClassVar[str] = "webhook-invalid"


class IdempotencyKeyReused(Rejected):
    """
    The idempotency key was used before with another request. Use a fresh key for a new request.
    """

    code: ClassVar[str] = "idempotency-key-reused"
