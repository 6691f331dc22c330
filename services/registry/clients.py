"""What the registry asks others: signatures, certificates and revocations of the signing service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.contracts.signing import (
    ISSUE_CERTIFICATES,
    REVOKE_CERTIFICATES,
    SIGN_SNAPSHOTS,
    SIGN_TOKENS,
    CertificateRequest,
    IssueCertificates,
    IssuedCertificate,
    RevokeCertificates,
    SignStatements,
)
from shared.messaging import Bus


@dataclass(frozen=True)
class SigningClient:
    """
    The signing service, asked over a bus.
    """

    bus: Bus

    async def sign_token(self, claims: Mapping[str, Any]) -> str:
        """
        Have an access token signed.
        """
        return (await self.bus.ask(SIGN_TOKENS, SignStatements(payloads=(dict(claims),)))).items[0]

    async def sign_snapshot(self, claims: Mapping[str, Any]) -> str:
        """
        Have a page of the register signed.
        """
        return (await self.bus.ask(SIGN_SNAPSHOTS, SignStatements(payloads=(dict(claims),)))).items[0]

    async def issue_certificates(self, requests: Sequence[CertificateRequest]) -> tuple[IssuedCertificate, ...]:
        """
        Have certificates issued, one per request, in the order asked; none when nothing is asked for.
        """
        if not requests:
            return ()
        return (await self.bus.ask(ISSUE_CERTIFICATES, IssueCertificates(items=tuple(requests)))).items

    async def revoke_certificate(self, sha256: str, reason: str) -> None:
        """
        Have a certificate put on the revocation list.
        """
        await self.bus.ask(REVOKE_CERTIFICATES, RevokeCertificates(sha256s=(sha256,), reason=reason))
