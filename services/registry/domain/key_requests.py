"""Certificate signing requests, checked for form before anybody spends time on them."""

from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from services.registry.errors import CertificateRequestInvalid
from shared.certificates import key_weakness
from shared.contracts.registry import KeyRequest
from shared.errors import FieldError

SEAL, AUTH = "seal", "auth"
_MAX_COMMON_NAME_BYTES = 64
"""X.520 allows 64 to a common name, and the library counts bytes."""


def check_key_requests(keys: Sequence[KeyRequest]) -> None:
    """
    Refuse requests that cannot become certificates, naming every one.

    Raises:
        CertificateRequestInvalid: With one entry per request at fault.
    """
    errors = []
    seen: set[str] = set()
    for number, key in enumerate(keys):
        fault = f"`{SEAL}` and `{AUTH}` are the purposes, each once" if key.purpose in seen else _fault_of(key)
        seen.add(key.purpose)
        if fault is not None:
            errors.append(FieldError(pointer=f"/keys/{number}", code=CertificateRequestInvalid.code, detail=fault))
    if errors:
        raise CertificateRequestInvalid("certificate requests cannot be used", errors=errors)


def common_name(name: str) -> str:
    """
    Cut a name to what a certificate's subject can hold, at a whole character.
    """
    return name.encode()[:_MAX_COMMON_NAME_BYTES].decode(errors="ignore").strip()


def _fault_of(key: KeyRequest) -> str | None:
    if key.purpose not in {SEAL, AUTH}:
        return f"`{SEAL}` and `{AUTH}` are the purposes, each once"
    if not key.csr.isascii() or "\0" in key.csr:
        return "no PKCS#10 request in PEM"
    try:
        request = x509.load_pem_x509_csr(key.csr.encode())
        public_key = request.public_key()
        is_signed = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        return "no PKCS#10 request in PEM"
    weakness = key_weakness(public_key)
    if weakness is None and isinstance(public_key, ec.EllipticCurvePublicKey):
        weakness = (
            None if isinstance(public_key.curve, ec.SECP256R1) else f"a key on {public_key.curve.name}, not P-256"
        )
    if weakness is not None:
        return f"it is for {weakness}"
    return None if is_signed else "its own signature does not fit"
