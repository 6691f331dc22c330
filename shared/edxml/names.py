"""The names of the packet format."""

from typing import Final

QCVN: Final = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
"""Namespace of every element of a packet, whether written with a prefix or without."""

XMLDSIG: Final = "http://www.w3.org/2000/09/xmldsig#"
"""Namespace a packet signature must be in."""

OLD_NAMESPACES: Final = frozenset(
    {
        "http://schemas.xmlsoap.org/soap/envelope/",
        "http://www.w3.org/2003/05/soap-envelope",
        "http://www.e-doc.vn/Schema/",
        "http://www.e-doc.vn/Schema",
    }
)
"""Namespaces of the root of the generation before QCVN 102:2016; recognised in order to say so."""

XLINK_HREF: Final = "{http://www.w3.org/1999/xlink}href"
"""Where one dialect writes the ContentId of a manifest reference."""

MAX_SIGNATURE_BYTES: Final = 64 * 1024
"""A signature travels to the signing service in a message; more than this is no signature of ours."""


def tag(local_name: str) -> str:
    """
    Give the name of an element of a packet as lxml writes it.
    """
    return f"{{{QCVN}}}{local_name}"
