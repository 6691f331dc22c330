"""Access tokens: every service checks the caller's proof itself, whoever carried it."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from shared.clock import Clock
from shared.contracts.base import Nothing
from shared.contracts.signing import READ_KEYS
from shared.errors import Rejected
from shared.jose import BadStatement, from_jwks, verify_compact
from shared.messaging import Bus

AUDIENCE = "axis"
LEEWAY = timedelta(seconds=5)
"""Two processes of one node may differ by this much; tokens live ten minutes, so it gives nothing away."""

MAX_CACHED = 10_000
KEYS_MAX_AGE = timedelta(minutes=5)
KEYS_MIN_AGE = timedelta(seconds=2)
"""A token with an unknown key makes us look for new keys, but no more often than this."""


class TokenMissing(Rejected):
    """
    The request carries no access token. Get one at `/oauth2/token` and send it as `Authorization: Bearer …`.
    """

    code: ClassVar[str] = "token-missing"


class TokenInvalid(Rejected):
    """
    The access token is malformed, expired, from another node, or its credential is no longer good. Get a new one.
    """

    code: ClassVar[str] = "token-invalid"


class ScopeMissing(Rejected):
    """
    The access token does not cover this call. Ask for one with the scope named in the detail, if the credential has it.
    """

    code: ClassVar[str] = "scope-missing"


@dataclass(frozen=True)
class Caller:
    """
    Who calls, as its token proves.

    Attributes:
        system_id: The system, or `person:<id>`.
        credential_id: The credential the token was issued to.
        scopes: What it may do.
        agencies: Codes the caller narrowed the token to; None: not narrowed.
        expires_at: End of the token.
    """

    system_id: str
    credential_id: str
    scopes: frozenset[str]
    agencies: tuple[str, ...] | None
    expires_at: datetime


class TokenVerifier:
    """
    Checks access tokens and remembers the good ones by digest until they end.

    Args:
        bus: To ask signing for the public keys.
        issuer: The node's public URL.
        clock: To judge expiry.
    """

    def __init__(self, bus: Bus, *, issuer: str, clock: Clock) -> None:
        self._bus = bus
        self._issuer = issuer
        self._clock = clock
        self._keys: Mapping[str, EllipticCurvePublicKey] = {}
        self._keys_at: datetime | None = None
        self._lock = asyncio.Lock()
        self._cache: dict[bytes, Caller] = {}

    async def verify(self, token: str, *scopes: str) -> Caller:
        """
        Check a token and that it covers all the scopes named.

        Raises:
            TokenMissing: The token is empty.
            TokenInvalid: It is malformed, expired, or of another node.
            ScopeMissing: It does not cover a scope.
            Unavailable: The keys are out of reach.
        """
        if not token:
            raise TokenMissing("an access token is needed")
        digest = hashlib.sha256(token.encode()).digest()
        caller = self._cache.get(digest)
        now = self._clock.now()
        if caller is None:
            caller = _read(await self._claims(token, now), self._issuer, now)
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            self._cache[digest] = caller
        if caller.expires_at + LEEWAY <= now:
            self._cache.pop(digest, None)
            raise TokenInvalid("the access token has expired")
        for scope in scopes:
            if scope not in caller.scopes:
                raise ScopeMissing(f"this call needs the scope `{scope}`")
        return caller

    async def _claims(self, token: str, now: datetime) -> Mapping[str, Any]:
        for fresh in (False, True):
            await self._load_keys(now, fresh=fresh)
            try:
                return verify_compact(token, typ="at+jwt", keys=self._keys)
            except BadStatement as error:
                reason = error
        raise TokenInvalid("the access token is not one of this node") from reason

    async def _load_keys(self, now: datetime, *, fresh: bool) -> None:
        oldest = KEYS_MIN_AGE if fresh else KEYS_MAX_AGE
        if self._keys_at is not None and now - self._keys_at < oldest:
            return
        async with self._lock:
            if self._keys_at is not None and now - self._keys_at < oldest:
                return
            keys = await self._bus.ask(READ_KEYS, Nothing())
            self._keys = from_jwks(keys.token_keys)
            self._keys_at = now


def _read(claims: Mapping[str, Any], issuer: str, now: datetime) -> Caller:
    if claims.get("iss") != issuer or claims.get("aud") != AUDIENCE:
        raise TokenInvalid("the access token was issued for another node")
    issued_at, expires_at = claims.get("iat"), claims.get("exp")
    if not isinstance(issued_at, int) or not isinstance(expires_at, int):
        raise TokenInvalid("the access token has no times")
    if datetime.fromtimestamp(issued_at, UTC) - LEEWAY > now:
        raise TokenInvalid("the access token is not valid yet")
    agencies = claims.get("agencies")
    return Caller(
        system_id=str(claims["sub"]),
        credential_id=str(claims["cid"]),
        scopes=frozenset(str(claims.get("scope", "")).split()),
        agencies=None if agencies is None else tuple(agencies),
        expires_at=datetime.fromtimestamp(expires_at, UTC),
    )


Authorize = Callable[[str], Awaitable[Caller]]


def authorize_with(verifier: TokenVerifier, *scopes: str) -> Authorize:
    """
    Make a check that a token covers the scopes.
    """

    async def authorize(token: str) -> Caller:
        return await verifier.verify(token, *scopes)

    return authorize
