"""Verifying packets, and giving others what they need to verify us."""

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

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

MAX_AGE: Final = timedelta(seconds=1)


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
        return _parse(self.anchors, self.revocation_lists)


@lru_cache(maxsize=1)  # it changes with a revocation, and is the same for all packets in between
def _parse(anchors: tuple[str, ...], revocation_lists: tuple[str, ...]) -> TrustStore:
    return TrustStore(
        anchors=tuple(x509.load_pem_x509_certificate(pem.encode()) for pem in anchors),
        revocation_lists=tuple(x509.load_pem_x509_crl(pem.encode()) for pem in revocation_lists),
    )


class TrustReader:
    """
    Whom we trust, read at most once a second: every packet's signature is judged by it.

    A revocation counts from the next question on in the copy of the service that was asked for it, and a second later
    in every other.

    Args:
        store: The service's database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._data: TrustData | None = None
        self._read_at: datetime | None = None
        self._revocations = 0

    async def current(self) -> TrustData:
        """
        Give it, as old as it may be.
        """
        now = self._store.clock.now()
        if self._data is not None and self._read_at is not None and timedelta(0) <= now - self._read_at < MAX_AGE:
            return self._data
        revocations = self._revocations
        async with self._store.read() as connection:
            anchors, lists = await repository.read_trust(connection)
        data = TrustData(tuple(anchors), tuple(lists))
        if revocations == self._revocations:
            self._data, self._read_at = data, now
        return data

    def forget(self) -> None:
        """
        Have the next question read it anew.
        """
        self._data = None
        self._revocations += 1


def verify_packets(trust: TrustData, request: VerifyPackets) -> PacketReports:
    """
    Verify signatures of packets; a bad one is an answer.

    Takes a millisecond each, so it belongs off the event loop.
    """
    store = trust.parse()
    return PacketReports(items=tuple(verify_packet(packet, store) for packet in request.items))


def describe_keys(trust: TrustData, keys: KeyStore) -> Keys:
    """
    Give public keys, roots and revocation lists.
    """
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
