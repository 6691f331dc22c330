"""Client assertions: a system proves who it is with the key of its certificate (RFC 7523)."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from services.registry.errors import InvalidClient

ASSERTION_LEEWAY = timedelta(seconds=30)
"""Clocks of agencies are not ours."""

MAX_LIFETIME = timedelta(minutes=10)
"""An assertion is made for one call; ids are remembered only this long."""

_MAX_JTI = 256


class _Registry(jws.JWSRegistry):
    # Many libraries put the certificate into the header, which the default limit of 512 bytes refuses.
    max_header_length = 8 * 1024


# The key decides which algorithms may be used, never the header alone.
_EC_REGISTRY = _Registry(algorithms=["ES256"])
_RSA_REGISTRY = _Registry(algorithms=["PS256", "RS256"])
_ANY_REGISTRY = _Registry(algorithms=["ES256", "PS256", "RS256"])


@dataclass(frozen=True)
class Assertion:
    """
    What a client assertion says; nothing is proved before `is_signed_by`.

    Attributes:
        remember_until: Moment until which its `jti` must not be taken again.
    """

    token: str
    system_id: str
    jti: str
    remember_until: datetime

    def is_signed_by(self, certificates: Iterable[str]) -> bool:
        """
        Tell whether the key of one of the certificates, PEM, has signed it.
        """
        return any(self._fits(x509.load_pem_x509_certificate(pem.encode()).public_key()) for pem in certificates)

    def _fits(self, key: object) -> bool:
        try:
            if isinstance(key, ec.EllipticCurvePublicKey):
                jws.deserialize_compact(self.token, ECKey.import_key(key), registry=_EC_REGISTRY)
            elif isinstance(key, rsa.RSAPublicKey):
                jws.deserialize_compact(self.token, RSAKey.import_key(key), registry=_RSA_REGISTRY)
            else:
                return False
        except (JoseError, ValueError, TypeError):
            return False
        return True


def read_assertion(token: str, *, audience: str, now: datetime) -> Assertion:
    """
    Read an assertion and check everything but its signature.

    Raises:
        InvalidClient: It is malformed, for another audience, not of this moment, or lives too long.
    """
    claims = _read_claims(token)
    system_id, jti = claims.get("sub"), claims.get("jti")
    if not isinstance(system_id, str) or not system_id.isprintable() or claims.get("iss") != system_id:
        raise InvalidClient("`iss` and `sub` of the assertion must both be the system's identifier")
    if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI or not jti.isprintable():
        raise InvalidClient(f"the assertion needs a `jti` of 1 to {_MAX_JTI} printable characters")
    audiences = claims.get("aud")
    if audience not in (audiences if isinstance(audiences, list) else [audiences]):
        raise InvalidClient(f"`aud` of the assertion must be {audience}")
    expires_at = _read_time(claims, "exp")
    if expires_at is None:
        raise InvalidClient("the assertion needs `exp`")
    if expires_at <= now - ASSERTION_LEEWAY:
        raise InvalidClient("the assertion has expired; check the clock")
    if expires_at > now + MAX_LIFETIME + ASSERTION_LEEWAY:
        raise InvalidClient("the assertion must expire within ten minutes; check the clock")
    for name in ("iat", "nbf"):
        begins_at = _read_time(claims, name)
        if begins_at is not None and begins_at > now + ASSERTION_LEEWAY:
            raise InvalidClient(f"`{name}` of the assertion lies in the future; check the clock")
    return Assertion(token, system_id, jti, expires_at + ASSERTION_LEEWAY)


def _read_claims(token: str) -> Mapping[str, Any]:
    try:
        claims = json.loads(jws.extract_compact(token.encode(), registry=_ANY_REGISTRY).payload)
    except (JoseError, ValueError, RecursionError) as error:
        raise InvalidClient("the assertion is no signed JWT") from error
    if not isinstance(claims, dict):
        raise InvalidClient("the assertion holds no claims")
    return claims


def _read_time(claims: Mapping[str, Any], name: str) -> datetime | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidClient(f"`{name}` of the assertion is no number of seconds")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidClient(f"`{name}` of the assertion is no moment") from error
