"""
Whom a client believes: roots it was given at the hand-over, and the keys the node publishes.
"""

from cryptography import x509

from shared.client.credential import Credential
from shared.client.errors import NodeFault
from shared.client.receipts import Trust, read_keys
from shared.client.transport import Call, Transport


async def read_trust(transport: Transport, credential: Credential) -> Trust:
    """
    Collect what receipts of the node are checked with.
    """
    anchors = credential.anchor_certificates() or await read_anchors(transport)
    response = await transport.send(Call("GET", "/v1/trust/jwks.json", bearer=""))
    try:
        keys = read_keys(response.json())
    except (ValueError, AttributeError) as unreadable:
        raise NodeFault("answer-unreadable", response.status_code, "the node publishes no JWK set") from unreadable
    return Trust(tuple(anchors), keys, await transport.issuer())


async def read_anchors(transport: Transport) -> list[x509.Certificate]:
    """
    Ask the node for its root certificates; whoever writes a credential pins them there.
    """
    response = await transport.send(Call("GET", "/v1/trust/anchors", bearer=""))
    text = response.text
    if "json" in response.headers.get("Content-Type", ""):
        text = "\n".join(response.json()["anchors"])
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError as unreadable:
        raise NodeFault("answer-unreadable", response.status_code, "the node names no root") from unreadable
