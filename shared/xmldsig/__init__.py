"""
Packet signatures of profile `axis-1`: made and checked.

A signature covers the parts of a packet by digest alone: whoever reads the packet computes the digests from the same
tree it takes the values from, so nothing here ever sees the packet and its size does not matter. What a certificate is
worth is not judged here.
"""

from shared.xmldsig.check import check_signature
from shared.xmldsig.make import sign_parts
from shared.xmldsig.profile import MAX_SIGNATURE_BYTES, PartDigest
from shared.xmldsig.report import CheckedSignature, SubIndication

__all__ = [
    "MAX_SIGNATURE_BYTES",
    "CheckedSignature",
    "PartDigest",
    "SubIndication",
    "check_signature",
    "sign_parts",
]
