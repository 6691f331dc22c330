"""
What the door of the national dialect refuses by itself.

    Rejected
    ├── VxpRequestInvalid    10   a parameter is missing or says nothing that can be done
    ├── VxpHashMismatch      10   the bytes that came are not those the client hashed
    ├── VxpHeaderMismatch    15   a loose header is not what was signed
    └── VxpHeaderNotAscii    15   the client lost letters on the way, so no signature can fit
"""

from typing import ClassVar

from shared.errors import Rejected


class VxpRequestInvalid(Rejected):
    """
    A parameter of a call in the national dialect is missing, or is not one of the values it can have.
    """

    code: ClassVar[str] = "vxp-request-invalid"


class VxpHashMismatch(Rejected):
    """
    The package that came does not have the SHA-256 in the signed parameter `hash-file`; nothing of it was kept.
    """

    code: ClassVar[str] = "vxp-hash-mismatch"


class VxpHeaderMismatch(Rejected):
    """
    A header `XroadVnpt-…` says something else than the signed copy of the parameters: somebody changed it on the way.
    """

    code: ClassVar[str] = "vxp-header-mismatch"


class VxpHeaderNotAscii(Rejected):
    """
    A parameter has letters beyond ASCII. The client sends only half of each, so its own signature does not fit.
    """

    code: ClassVar[str] = "vxp-header-not-ascii"
