"""
Access tokens: fetched when needed, renewed before they end.
"""

import asyncio
import base64
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from pydantic import BaseModel, ValidationError

from shared.client.credential import Credential
from shared.client.errors import CredentialInvalid, NodeFault

ASSERTION_SECONDS: Final = 60
"""Life of a client assertion: enough for one request over a slow line."""

RENEW_BEFORE: Final = 60.0
"""Seconds before its end at which a token is no longer used, so that none ends on the way."""

_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class _TokenAnswer(BaseModel):
    access_token: str
    expires_in: int


@dataclass(frozen=True)
class TokenRequest:
    """
    A form for the token endpoint.

    Attributes:
        basic: Client id and secret for HTTP Basic; None where the form carries an assertion.
    """

    form: dict[str, str]
    basic: tuple[str, str] | None


class TokenSource:
    """
    Gives a good access token, asking the node for one only when it must.

    Args:
        credential: Who we are.
        ask: Posts a form to the token endpoint and returns the JSON answer. It is given a function that makes the
            form, since each attempt needs a fresh one: an assertion is good for one use.
        issuer: Gives the node's `iss`, to which an assertion is addressed.
        monotonic: Seconds that never go back.
        wall: Seconds since 1970, for `iat` and `exp`.
    """

    def __init__(
        self,
        credential: Credential,
        ask: Callable[[Callable[[], Awaitable[TokenRequest]]], Awaitable[dict[str, Any]]],
        issuer: Callable[[], Awaitable[str]],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._credential = credential
        self._ask = ask
        self._issuer = issuer
        self._monotonic = monotonic
        self._wall = wall
        self._lock = asyncio.Lock()
        self._token: str | None = None
        self._good_until = 0.0

    async def current(self) -> str:
        """
        Give a token that is good for a while yet.
        """
        # The lock makes a hundred tasks that start together ask once.
        async with self._lock:
            if self._token is None or self._monotonic() >= self._good_until:
                await self._renew()
            assert self._token is not None
            return self._token

    async def discard(self, token: str) -> None:
        """
        Forget a token the node has refused, unless it was renewed meanwhile.
        """
        async with self._lock:
            if self._token == token:
                self._token = None

    async def _renew(self) -> None:
        answer = await self._ask(self._request)
        try:
            issued = _TokenAnswer.model_validate(answer)
        except ValidationError as wrong:
            raise NodeFault("token-answer-unreadable", 200, "the token endpoint gave no token") from wrong
        self._token = issued.access_token
        self._good_until = self._monotonic() + max(issued.expires_in - RENEW_BEFORE, issued.expires_in / 2)

    async def _request(self) -> TokenRequest:
        form = {"grant_type": "client_credentials"}
        credential = self._credential
        if credential.secret is not None:
            return TokenRequest(form, (credential.system_id, credential.secret.get_secret_value()))
        if credential.auth_key_file is None:
            raise CredentialInvalid(f"the credential of {credential.system_id} has neither secret nor auth_key_file")
        assertion = make_assertion(credential, audience=await self._issuer(), at=int(self._wall()))
        form |= {
            "client_id": credential.system_id,
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        return TokenRequest(form, None)


def make_assertion(credential: Credential, *, audience: str, at: int) -> str:
    """
    Make a client assertion with the key of the system's `auth` certificate.

    Args:
        credential: Whose key signs.
        audience: The node's `iss`.
        at: Seconds since 1970.

    Source:
        RFC 7523 sections 2.2 and 3.
    """
    private = credential.auth_key()
    key: ECKey | RSAKey
    if isinstance(private, ec.EllipticCurvePrivateKey):
        key, algorithm = ECKey.import_key(private), "ES256"
    else:
        key, algorithm = RSAKey.import_key(private), "RS256"
    header = {"typ": "JWT", "alg": algorithm, "kid": key.thumbprint()}
    if credential.auth_certificate:
        leaf = credential.auth_certificates()[0]
        header["x5t#S256"] = _base64url(leaf.fingerprint(hashes.SHA256()))
    claims = {
        "iss": credential.system_id,
        "sub": credential.system_id,
        "aud": audience,
        "jti": str(uuid.uuid4()),
        "iat": at,
        "exp": at + ASSERTION_SECONDS,
    }
    return jwt.encode(header, claims, key, algorithms=["ES256", "RS256"])


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")
