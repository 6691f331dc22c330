"""
Two foreign tools agree with what we sign: openssl and jose.
"""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.jose import EVIDENCE, sign_compact, thumbprint, to_jwk

PAYLOAD = {"event": "ContentConsignment", "addressee": "H43.31", "sender": "UBND xã Phước Đại", "series": 1}


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def a_statement(key: ec.EllipticCurvePrivateKey) -> str:
    return sign_compact(PAYLOAD, typ=EVIDENCE, key=key, kid=thumbprint(key.public_key()))


def decode(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def openssl_accepts(folder: Path, key: ec.EllipticCurvePrivateKey, signed: bytes, signature: bytes) -> bool:
    half = len(signature) // 2
    r, s = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
    (folder / "key.pem").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (folder / "signed").write_bytes(signed)
    (folder / "signature").write_bytes(encode_dss_signature(r, s))
    command = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "signed"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def jose_accepts(folder: Path, key: ec.EllipticCurvePrivateKey, statement: str) -> bool:
    (folder / "key.jwk").write_text(json.dumps(to_jwk(key.public_key())))
    (folder / "statement").write_text(statement)
    command = ["jose", "jws", "ver", "-i", "statement", "-k", "key.jwk"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(shutil.which("openssl") is None, reason="LEFT OUT: openssl is not installed")
def test_openssl_accepts_a_statement_and_refuses_a_changed_one(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    signed, _, signature = a_statement(key).rpartition(".")
    assert openssl_accepts(tmp_path, key, signed.encode(), decode(signature))
    assert not openssl_accepts(tmp_path, key, signed.encode() + b"A", decode(signature))


@pytest.mark.skipif(shutil.which("jose") is None, reason="LEFT OUT: jose is not installed")
def test_jose_accepts_a_statement_and_refuses_a_changed_one(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    statement = a_statement(key)
    assert jose_accepts(tmp_path, key, statement)
    head, payload, signature = statement.split(".")
    changed = base64.urlsafe_b64encode(decode(payload).replace(b"H43.31", b"H43.32")).rstrip(b"=").decode()
    assert not jose_accepts(tmp_path, key, f"{head}.{changed}.{signature}")
