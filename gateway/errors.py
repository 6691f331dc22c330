"""
What the gateway itself refuses, before any service is asked.

    Rejected
    ├── RequestInvalid        422   body, query or header is not what the reference says
    ├── NotFound              404
    ├── MethodNotAllowed      405
    ├── NotAcceptable         406
    ├── LengthRequired        411
    ├── RequestTooLarge       413   a JSON or form body; a packet gets `packet-too-large`
    ├── WrongMediaType        415
    ├── RangeNotSatisfiable   416
    ├── TooMany               429
    │   └── TooManyUploads    429   of one system at the same time
    ├── UploadTooSlow         408
    ├── HeadersTooLarge       431
    ├── BodyIncomplete        400
    └── DigestMismatch        400
    Unavailable
    └── Busy                  503   too many packets are being received
"""

from typing import ClassVar

from shared.errors import Rejected, Unavailable


class RequestInvalid(Rejected):
    """
    Body, query or header is not what the reference says; `errors` names each place.
    """

    code: ClassVar[str] = "request-invalid"


class NotFound(Rejected):
    """
    There is nothing here, or nothing that the caller may see.
    """

    code: ClassVar[str] = "not-found"


class MethodNotAllowed(Rejected):
    """
    The address exists, but does not answer this method; the header `Allow` names those it answers.
    """

    code: ClassVar[str] = "method-not-allowed"

    def __init__(self, detail: str, *, allowed: tuple[str, ...]) -> None:
        super().__init__(detail)
        self.allowed = allowed


class NotAcceptable(Rejected):
    """
    None of the media types in the header `Accept` can be given here.
    """

    code: ClassVar[str] = "not-acceptable"


class LengthRequired(Rejected):
    """
    The request does not announce the length of its body.
    """

    code: ClassVar[str] = "length-required"


class RequestTooLarge(Rejected):
    """
    The JSON or form body is larger than any sensible request.
    """

    code: ClassVar[str] = "request-too-large"


class HeadersTooLarge(Rejected):
    """
    The header lines of the request are too long.
    """

    code: ClassVar[str] = "headers-too-large"


class WrongMediaType(Rejected):
    """
    The body is of a media type or encoding that is not taken here.
    """

    code: ClassVar[str] = "wrong-media-type"


class RangeNotSatisfiable(Rejected):
    """
    The range asked for lies beyond the end of the file.
    """

    code: ClassVar[str] = "range-not-satisfiable"

    def __init__(self, detail: str, *, size_bytes: int) -> None:
        super().__init__(detail)
        self.size_bytes = size_bytes


class BodyIncomplete(Rejected):
    """
    The body ended, or stopped coming, before its announced length; nothing of it was kept.
    """

    code: ClassVar[str] = "body-incomplete"


class DigestMismatch(Rejected):
    """
    The bytes that came do not have the digest in `Content-Digest`; nothing of them was kept.
    """

    code: ClassVar[str] = "digest-mismatch"


class TooMany(Rejected):
    """
    More requests than this door lets through for one caller.
    """

    code: ClassVar[str] = "too-many"

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class TooManyUploads(TooMany):
    """
    One system sends as many packets at the same time as it may; its next can come when one of them has ended.
    """

    code: ClassVar[str] = "too-many-uploads"


class UploadTooSlow(Rejected):
    """
    The packet came so slowly that it kept a place from others; nothing of it was kept. Send it over a better line.
    """

    code: ClassVar[str] = "upload-too-slow"


class Busy(Unavailable):
    """
    As many packets as this door takes at once are being received.
    """
