"""
How a system gets its credential: ask, wait for the registrar, collect.
"""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import SecretStr

from shared.client.credential import Credential
from shared.client.keys import certificate_request
from shared.client.retries import RetryPolicy
from shared.client.transport import Call, Transport
from shared.client.trust import read_anchors
from shared.contracts.registry import AgencyPage, IssuedKey, Registered, RegistrationView
from shared.contracts.registry import Credential as Issued

__all__ = ["Issued", "RegistrationClient", "assemble", "key_requests"]


class RegistrationClient:
    """
    What can be done at a node before one has a credential.

    Args:
        url: Address of the node.
        retries: When to try again.
        http: Transport for tests.
    """

    def __init__(
        self, url: str, *, retries: RetryPolicy | None = None, http: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._transport = Transport(url, retries=retries, http=http)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.close()

    async def agencies(self, query: str) -> AgencyPage:
        """
        Find the agency to register for, by name without accents or by code.
        """
        return await self._transport.ask(Call("GET", "/v1/agencies", {"query": query}, bearer=""), AgencyPage)

    async def register(
        self,
        *,
        system_id: str,
        system_name: str,
        contact_name: str,
        contact_email: str,
        agencies: Sequence[str],
        keys: Mapping[str, ec.EllipticCurvePrivateKey],
        idempotency_key: str | None = None,
    ) -> Registered:
        """
        Ask for a system that acts for agencies.

        Args:
            system_id: Letters, digits, `.`, `_` and `-`; also the OAuth client id.
            system_name: For people.
            contact_name: Whom the registrar asks.
            contact_email: And where.
            agencies: Codes the system shall act for.
            keys: By purpose, `seal` or `auth`; only requests for certificates leave this machine.
            idempotency_key: Kept for repeats by another process.

        Returns:
            The identifier and the claim token, which is needed for everything that follows and shown this once.
        """
        body = {
            "system_id": system_id,
            "system_name": system_name,
            "contact_name": contact_name,
            "contact_email": contact_email,
            "agencies": list(agencies),
            "keys": key_requests(keys, system_id),
        }
        call = Call("POST", "/v1/registrations", json=body, bearer="", idempotency_key=idempotency_key)
        return await self._transport.ask(call, Registered)

    async def registration(self, registration_id: UUID, claim_token: str) -> RegistrationView:
        """
        See where a registration stands and who acts next.
        """
        call = Call("GET", f"/v1/registrations/{registration_id}", bearer=claim_token)
        return await self._transport.ask(call, RegistrationView)

    async def hand_over(
        self, registration_id: UUID, claim_token: str, *, key_files: Mapping[str, str] | None = None
    ) -> Credential:
        """
        Collect the credential of an approved registration; repeatable until it has got its first access token.

        Args:
            registration_id: As given by `register`.
            claim_token: As given by `register`.
            key_files: Names of the private keys' files by purpose, as they shall stand in the credential.
        """
        call = Call("POST", f"/v1/registrations/{registration_id}/handover", json={}, bearer=claim_token)
        issued = await self._transport.ask(call, Issued)
        anchors = [one.public_bytes(Encoding.PEM).decode("ascii") for one in await read_anchors(self._transport)]
        return assemble(
            issued, url=self._transport.url, issuer=await self._transport.issuer(), anchors=anchors, key_files=key_files
        )


def key_requests(keys: Mapping[str, ec.EllipticCurvePrivateKey], common_name: str) -> list[dict[str, str]]:
    """
    Make the certificate requests of a registration, one per purpose.
    """
    return [{"purpose": purpose, "csr": certificate_request(key, common_name)} for purpose, key in keys.items()]


def assemble(
    issued: Issued,
    *,
    url: str,
    issuer: str | None,
    anchors: Sequence[str],
    key_files: Mapping[str, str] | None = None,
) -> Credential:
    """
    Put together what the node has issued and what lies on this machine.

    Args:
        issued: The node's answer.
        url: Address of the node.
        issuer: The node's `iss`; None: ask it when needed.
        anchors: Root certificates, PEM; pinned from now on.
        key_files: Names of the private keys' files by purpose.
    """
    certificates = {one.purpose: _with_chain(one) for one in issued.keys}
    files = key_files or {}
    return Credential(
        url=url,
        issuer=issuer,
        system_id=issued.system_id,
        credential_id=issued.credential_id,
        secret=SecretStr(issued.secret),
        auth_key_file=files.get("auth"),
        auth_certificate=certificates.get("auth"),
        seal_key_file=files.get("seal"),
        seal_certificate=certificates.get("seal"),
        agencies=issued.agencies,
        anchors=tuple(anchors),
    )


def _with_chain(key: IssuedKey) -> str:
    return "".join(f"{pem.strip()}\n" for pem in (key.certificate, *key.chain))
