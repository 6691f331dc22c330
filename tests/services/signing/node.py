"""A running signing service and somebody who asks it."""

import asyncio
import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509

from services.signing.settings import Settings
from shared.contracts.signing import (
    ISSUE_CERTIFICATES,
    REVOKE_CERTIFICATES,
    VERIFY_PACKETS,
    CertificateRequest,
    IssueCertificates,
    IssuedCertificate,
    PacketSignature,
    PartDigest,
    RevokeCertificates,
    SignatureReport,
    VerifyPackets,
)
from shared.messaging import Item
from shared.messaging.inprocess import InProcessBus, InProcessParty
from shared.testing.pki import MOMENT, PrivateKey, a_certificate_request, a_p256_key
from shared.xmldsig import sign_parts

PART = PartDigest(uri="#MessageHeader", sha256=hashlib.sha256(b"header").hexdigest())
URL = "http://127.0.0.1:8080"


@dataclass
class HandClock:
    moment: datetime = MOMENT

    def now(self) -> datetime:
        return self.moment


@dataclass
class Node:
    """
    A running signing service and somebody who asks it.
    """

    settings: Settings
    clock: HandClock
    bus: InProcessBus
    asker: InProcessParty
    events: list[Item] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def hear(self, item: Item) -> None:
        self.events.append(item)
        self.heard.set()

    async def event(self) -> Item:
        """
        Wait for the next event.
        """
        await asyncio.wait_for(self.heard.wait(), 10)
        self.heard.clear()
        return self.events[-1]

    async def issue(self, *requests: CertificateRequest) -> tuple[IssuedCertificate, ...]:
        return (await self.asker.ask(ISSUE_CERTIFICATES, IssueCertificates(items=requests))).items

    async def revoke(self, *sha256s: str, reason: str = "keyCompromise") -> None:
        await self.asker.ask(REVOKE_CERTIFICATES, RevokeCertificates(sha256s=sha256s, reason=reason))

    async def report(self, key: PrivateKey, certificate: x509.Certificate) -> SignatureReport:
        signature = sign_parts([PART], key, certificate).decode()
        packet = PacketSignature(signature=signature, parts=(PART,), at=self.clock.now())
        answer = await self.asker.ask(VERIFY_PACKETS, VerifyPackets(items=(packet,)))
        (report,) = answer.items[0].signatures
        return report


def asked(key: PrivateKey | None = None, **changes: object) -> CertificateRequest:
    values = {
        "csr": a_certificate_request(key or a_p256_key()),
        "common_name": "UBND huyện Thuận Nam",
        "system_id": "thuan-nam",
        "purpose": "seal",
    }
    return CertificateRequest.model_validate({**values, **changes})


def read(issued: IssuedCertificate) -> x509.Certificate:
    return x509.load_pem_x509_certificate(issued.certificate.encode())
