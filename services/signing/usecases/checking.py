"""Verifying packets, and giving others what they need to verify us."""

import base64
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from services.signing.domain.keys import Role
from services.signing.domain.trust import TrustStore
from services.signing.domain.verification import verify_packet
from services.signing.ports import KeyStore
from services.signing.repository import certificates as repository
from services.signing.usecases.certificates import Authority
from shared.contracts.base import Health
from shared.contracts.signing import Keys, PacketReports, VerifyPackets
from shared.errors import Unavailable
from shared.jose import to_jwk
from shared.outbox import Store


@dataclass(frozen=True)
class TrustData:
    """
    Whom we trust, as text.

    Attributes:
        anchors: PEM of each root.
        revocation_lists: PEM of each list.
    """

    anchors: tuple[str, ...]
    revocation_lists: tuple[str, ...]

    def parse(self) -> TrustStore:
        """
        Read it.
        """
        return TrustStore(
            anchors=tuple(x509.load_pem_x509_certificate(pem.encode()) for pem in self.anchors),
            revocation_lists=tuple(x509.load_pem_x509_crl(pem.encode()) for pem in self.revocation_lists),
        )


async def read_trust(store: Store) -> TrustData:
    """
    Read whom we trust now; each copy of the service sees a revocation with its next question.
    """
    async with store.read() as connection:
        anchors = await repository.read_anchors(connection)
        lists = await repository.read_lists(connection)
    return TrustData(tuple(anchors), tuple(lists))


def verify_packets(trust: TrustData, request: VerifyPackets) -> PacketReports:
    """
    Verify signatures of packets; a bad one is an answer.

    Takes a millisecond each, so it belongs off the event loop.
    """
    store = trust.parse()
    return PacketReports(items=tuple(verify_packet(packet, store) for packet in request.items))


async def read_keys(store: Store, keys: KeyStore) -> Keys:
    """
    Give public keys, roots and revocation lists.
    """
    trust = await read_trust(store)
    evidence = [
        {
            **to_jwk(key.key.public_key()),
            "x5c": [base64.b64encode(key.certificate.public_bytes(Encoding.DER)).decode("ascii")],
        }
        for key in keys.active(Role.EVIDENCE)
        if key.certificate is not None
    ]
    return Keys(
        token_keys={"keys": [to_jwk(key.key.public_key()) for key in keys.active(Role.TOKEN)]},
        evidence_keys={"keys": evidence},
        anchors=trust.anchors,
        revocation_lists=trust.revocation_lists,
    )


async def read_health(authority: Authority) -> Health:
    """
    Tell whether statements can be signed and packets judged.
    """
    try:
        async with authority.store.read() as connection:
            current = await repository.read_list(connection, authority.sha256)
    except Unavailable as error:
        return Health(ready=False, detail=error.detail)
    if current is None or current.next_update_at <= authority.store.clock.now():
        return Health(ready=False, detail="the revocation list of the node's authority is out of date")
    return Health(ready=True)
