"""
Why routing refuses.

    Rejected
    ├── NotFound                 404   there is no such thing, or it is not the caller's to see
    ├── AgencyNotYours           403   the caller may not act so for this agency
    ├── SenderNotYours           403   the caller may not send for this agency
    ├── DocumentIdReused         409   other content under a DocumentId that was used
    ├── IdempotencyKeyReused     409   another request under a key that was used
    ├── AcknowledgementConflict  409   this series was acknowledged with the other result
    ├── NotFetched               409   acknowledged as done before anything was fetched
    ├── IllegalStep              409   the delivery is not in a state that allows this
    ├── RequestInvalid           422   the request itself lacks something
    ├── AddresseesRefused        422   addressees unknown, closed or not served; all are named
    ├── SecrecyMark              422   marked as a state secret
    ├── SignatureMissing         422   a signature of profile axis-1 is needed
    ├── SignatureFailed          422   the signature did not pass
    └── SignerNotBound           422   the signer may not seal for the sender
"""

from typing import ClassVar

from shared.errors import Rejected


class NotFound(Rejected):
    """
    There is no such document or delivery, or it belongs to agencies you do not act for.
    """

    code: ClassVar[str] = "not-found"


class AgencyNotYours(Rejected):
    """
    Your system may not do this for the agency: it has no such role for it, or the token was narrowed to others.
    """

    code: ClassVar[str] = "agency-not-yours"


class SenderNotYours(Rejected):
    """
    The packet's `From` is not an agency your system sends for, or that agency is closed. Ask the registrar.
    """

    code: ClassVar[str] = "sender-not-yours"


class DocumentIdReused(Rejected):
    """
    The sender has sent another packet with this DocumentId. A changed document needs a DocumentId of its own.
    """

    code: ClassVar[str] = "document-id-reused"


class IdempotencyKeyReused(Rejected):
    """
    Your system has used this Idempotency-Key for another request. Use a fresh key for each new request.
    """

    code: ClassVar[str] = "idempotency-key-reused"


class AcknowledgementConflict(Rejected):
    """
    The delivery was acknowledged with the other result in this series; the first acknowledgement stands.
    """

    code: ClassVar[str] = "acknowledgement-conflict"


class NotFetched(Rejected):
    """
    Nothing of this delivery was fetched yet, so it cannot be done. Fetch the packet first, or acknowledge `fail`.
    """

    code: ClassVar[str] = "not-fetched"


class IllegalStep(Rejected):
    """
    The delivery is in a state that does not allow this step. Read it again to see where it stands.
    """

    code: ClassVar[str] = "illegal-step"


class RequestInvalid(Rejected):
    """
    The request lacks something it needs, or says something that cannot be; `errors` names each place.
    """

    code: ClassVar[str] = "request-invalid"


class AddresseesRefused(Rejected):
    """
    Some addressees are unknown, closed, or served by no node we reach; `errors` names every one with its reason.

    Nothing was sent to the others either. Correct the list and send again.
    """

    code: ClassVar[str] = "addressees-refused"


class SecrecyMark(Rejected):
    """
    The packet is marked as a state secret, which must not travel on this axis. The detail names what matched.
    """

    code: ClassVar[str] = "secrecy-mark"


class SignatureMissing(Rejected):
    """
    The packet carries no signature of profile `axis-1`. Seal it with a certificate bound to a system of the sender.
    """

    code: ClassVar[str] = "signature-missing"


class SignatureFailed(Rejected):
    """
    The packet's signature did not pass; the detail and `errors` carry the ETSI sub-indication and the reason.

    With `TRY_LATER` the revocation data were out of reach: send the same packet again later.
    """

    code: ClassVar[str] = "signature-failed"


class SignerNotBound(Rejected):
    """
    The signature is good, but its certificate is not bound as a seal to a system that sends for `From`.
    """

    code: ClassVar[str] = "signer-not-bound"
