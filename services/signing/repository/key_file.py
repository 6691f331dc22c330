"""
The development key store: one encrypted file.

Whoever reads the file without the passphrase learns the number of keys and nothing else; whoever can read this
process' memory has them all, which is why production wants a hardware module.
"""

import base64
import contextlib
import json
import os
import secrets
import stat
import warnings
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import rfc8785
from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from services.signing.domain.authority import Issuer, certify_node, make_root
from services.signing.domain.keys import MAX_ACTIVE, NodeKey, Role
from services.signing.errors import DevelopmentModeWarning, KeyStoreUnusable
from shared.durable import create_private, replace_private

_SCRYPT_N: Final = 2**15
"""With r = 8: 32 MiB and a tenth of a second for one guess (RFC 7914; the interactive setting of its author)."""
_SCRYPT_R: Final = 8
_SCRYPT_P: Final = 1
_FORMAT: Final = "axis-keys-1"
_MAX_FILE_BYTES: Final = 1024 * 1024
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class KeyFile:
    """
    Keys from an encrypted file (scrypt, AES-256-GCM), decrypted once.
    """

    def __init__(self, keys: Sequence[NodeKey]) -> None:
        self._keys = tuple(sorted(keys, key=lambda key: key.created_at, reverse=True))

    def active(self, role: Role) -> tuple[NodeKey, ...]:
        return tuple(key for key in self._keys if key.role is role)[:MAX_ACTIVE]


def open_key_file(path: Path, passphrase_file: Path, *, production: bool) -> KeyFile:
    """
    Open the key store.

    Args:
        path: The key file, mode 0600.
        passphrase_file: Its whole content, less white space at the ends, is the passphrase.
        production: True refuses.

    Raises:
        KeyStoreUnusable: It must not or cannot be opened.
    """
    if production:
        raise KeyStoreUnusable("keys in a file are for development; production needs a hardware module")
    said = f"Khóa của nút nằm trong tệp, chỉ để thử nghiệm / keys in a file, for trying things out only: {path}"
    warnings.warn(said, DevelopmentModeWarning, stacklevel=2)
    keys = _decrypt(_read_private(path), _read_passphrase(passphrase_file))
    missing = [role.value for role in Role if not any(key.role is role for key in keys)]
    if missing:
        raise KeyStoreUnusable(f"{path} holds no key for {', '.join(missing)}")
    return KeyFile(keys)


def create_key_file(path: Path, passphrase_file: Path, *, node_id: str, public_url: str, now: datetime) -> None:
    """
    Make the node's keys and their certificates, and the passphrase if there is none; what exists stays as it is.

    Raises:
        KeyStoreUnusable: One of the two files exists but cannot be used.
    """
    if not passphrase_file.exists():
        _write_new(passphrase_file, secrets.token_urlsafe(32).encode())
    if path.exists():
        return
    root_key, evidence_key, token_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    root = make_root(root_key, node_id, now)
    own = certify_node(Issuer(root_key, root), evidence_key.public_key(), public_url, now)
    keys = (
        NodeKey(Role.AUTHORITY, root_key, now, root),
        NodeKey(Role.EVIDENCE, evidence_key, now, own),
        NodeKey(Role.TOKEN, token_key, now),
    )
    _write_new(path, _encrypt(keys, _read_passphrase(passphrase_file)))


def rotate_key(path: Path, passphrase_file: Path, role: Role, *, public_url: str, now: datetime) -> None:
    """
    Add a new key to a role; it signs from the next start on, and the one before it stays published.

    The authority's key is not rotated: every certificate it issued would lose its anchor.

    Raises:
        KeyStoreUnusable: The store cannot be opened.
        ValueError: The role is the authority's.
    """
    if role is Role.AUTHORITY:
        raise ValueError("the authority's key is not rotated")
    passphrase = _read_passphrase(passphrase_file)
    store = KeyFile(_decrypt(_read_private(path), passphrase))
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = None
    if role is Role.EVIDENCE:
        authority = store.active(Role.AUTHORITY)[0]
        assert authority.certificate is not None
        certificate = certify_node(Issuer(authority.key, authority.certificate), key.public_key(), public_url, now)
    kept = [old for other in Role for old in store.active(other)[: MAX_ACTIVE - 1 if other is role else MAX_ACTIVE]]
    _replace(path, _encrypt([*kept, NodeKey(role, key, now, certificate)], passphrase))


def _encrypt(keys: Sequence[NodeKey], passphrase: bytes) -> bytes:
    header: dict[str, Any] = {
        "format": _FORMAT,
        "kdf": {"name": "scrypt", "n": _SCRYPT_N, "r": _SCRYPT_R, "p": _SCRYPT_P, "salt": _text(os.urandom(16))},
        "cipher": {"name": "AES-256-GCM", "nonce": _text(os.urandom(12))},
    }
    plain = json.dumps([_write_key(key) for key in keys]).encode()
    sealed = AESGCM(_derive(header, passphrase)).encrypt(
        _octets(header["cipher"], "nonce"), plain, rfc8785.dumps(header)
    )
    return json.dumps({"header": header, "sealed": _text(sealed)}, indent=2).encode()


def _decrypt(content: bytes, passphrase: bytes) -> list[NodeKey]:
    try:
        envelope = json.loads(content)
        header = envelope["header"]
        if header["format"] != _FORMAT:
            raise KeyStoreUnusable(f"the key file is not of the format {_FORMAT}")
        # The header is bound to the content, so nobody can have us accept cheaper parameters unnoticed.
        plain = AESGCM(_derive(header, passphrase)).decrypt(
            _octets(header["cipher"], "nonce"), _octets(envelope, "sealed"), rfc8785.dumps(header)
        )
        return [_read_key(one) for one in json.loads(plain)]
    except InvalidTag as wrong:
        raise KeyStoreUnusable("the passphrase does not open the key file, or the file was altered") from wrong
    except (ValueError, KeyError, TypeError) as malformed:
        raise KeyStoreUnusable("the key file is damaged") from malformed


def _derive(header: dict[str, Any], passphrase: bytes) -> bytes:
    kdf = header["kdf"]
    # Taken from the file, a cost could be set to exhaust memory; there is one setting per format instead.
    if (kdf["n"], kdf["r"], kdf["p"]) != (_SCRYPT_N, _SCRYPT_R, _SCRYPT_P):
        raise KeyStoreUnusable("the key file names other scrypt parameters than its format")
    return Scrypt(salt=_octets(kdf, "salt"), length=32, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P).derive(passphrase)


def _write_key(key: NodeKey) -> dict[str, str | None]:
    pkcs8 = key.key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate = key.certificate
    return {
        "role": key.role.value,
        "created_at": key.created_at.isoformat(),
        "key": _text(pkcs8),
        "certificate": None if certificate is None else _text(certificate.public_bytes(serialization.Encoding.DER)),
    }


def _read_key(written: dict[str, str | None]) -> NodeKey:
    key = serialization.load_der_private_key(_octets(written, "key"), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyStoreUnusable("the key file holds a key that is not P-256")
    der = None if written["certificate"] is None else _octets(written, "certificate")
    return NodeKey(
        Role(str(written["role"])),
        key,
        datetime.fromisoformat(str(written["created_at"])),
        None if der is None else x509.load_der_x509_certificate(der),
    )


def _read_passphrase(path: Path) -> bytes:
    passphrase = _read_private(path).strip()
    if not passphrase:
        raise KeyStoreUnusable(f"{path} is empty")
    return passphrase


def _read_private(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            mode = stat.S_IMODE(status.st_mode)
            if mode & _OTHERS and not _is_handed_to_us(status, account=os.geteuid()):
                raise KeyStoreUnusable(f"{path} can be read by others (mode {mode:04o}); run `chmod 600 {path}`")
            return file.read(_MAX_FILE_BYTES)
    except OSError as unreadable:
        raise KeyStoreUnusable(f"{path} cannot be read: {unreadable.strerror}") from unreadable


def _is_handed_to_us(status: os.stat_result, *, account: int) -> bool:
    """An orchestrator mounts secrets as root's own files that our group may read; nobody else can."""
    return status.st_uid == 0 != account and stat.S_IMODE(status.st_mode) & _OTHERS == stat.S_IRGRP


def _write_new(path: Path, content: bytes) -> None:
    with _said_in_words(path), contextlib.suppress(FileExistsError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        create_private(path, content)  # keys that somebody made meanwhile stay


def _replace(path: Path, content: bytes) -> None:
    with _said_in_words(path):
        replace_private(path, content)


@contextlib.contextmanager
def _said_in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as refused:
        raise KeyStoreUnusable(f"{path} cannot be written: {refused.strerror}") from refused


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _octets(container: Any, name: str) -> bytes:
    return base64.b64decode(container[name], validate=True)
