"""Headers as a client of the national dialect signs them."""

import base64
import hashlib
import hmac
import json

from shared.contracts.registry import SignedHeader

HOME = "203.0.113.7"


def a_signed_header(
    secret: str, system_id: str = "demo.center.01", *, source: str = HOME, **parameters: str
) -> SignedHeader:
    """
    Sign a header with a secret taken as text.
    """
    named = {"systemid": system_id, "timestamp": "02052024T080000+0123", **parameters}
    content = json.dumps({f"XroadVnpt-{name}": value for name, value in named.items()}, separators=(",", ":"))
    return signed(content.encode(), secret, source=source)


def signed(content: bytes, secret: str, *, source: str = HOME) -> SignedHeader:
    """
    Sign any bytes.
    """
    mac = hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
    return SignedHeader(signed_header=base64.b64encode(content).decode(), hash_header=mac, source=source)
