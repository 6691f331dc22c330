"""The names and limits of profile `axis-1`."""

from typing import Final, Protocol

DS: Final = "http://www.w3.org/2000/09/xmldsig#"
"""The namespace of XML Signature; every element of a signature is in it."""

EXCLUSIVE_C14N: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
"""Exclusive canonical XML 1.0 without comments: the same bytes wherever the element stands."""

SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"
RSA_SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
ECDSA_SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"

LEGACY: Final = frozenset(
    {
        "http://www.w3.org/2000/09/xmldsig#sha1",
        "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
        "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#md5",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
    }
)
"""Algorithms once in use and broken since: named in the report, never accepted, never produced."""

MAX_SIGNATURE_BYTES: Final = 64 * 1024
"""About 250 attachments with a chain of three certificates; enough for any packet, little enough for a message."""

MAX_CERTIFICATES: Final = 5
"""The signer's and four above it."""


class PartDigest(Protocol):
    """
    One signed part of a packet.
    """

    @property
    def uri(self) -> str:
        """
        `#` and the `Id` of an element of the header, or `cid:` and the `ContentId` of an attachment.
        """

    @property
    def sha256(self) -> str:
        """
        Hex digest of the element's exclusive canonical form, or of the attachment's bytes as they travel.
        """


def tag(local_name: str) -> str:
    """
    Give the name of an element of a signature as lxml writes it.
    """
    return f"{{{DS}}}{local_name}"
