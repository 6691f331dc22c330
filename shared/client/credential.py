"""
The credential file: everything a system needs to connect, readable by its owner alone.
"""

import os
import stat
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError, field_serializer

from shared.client.errors import CredentialInvalid
from shared.durable import replace_private

ENVIRONMENT: Final = "AXIS_CREDENTIAL"
"""Environment variable that names the file."""

OWNER_ONLY: Final = 0o600

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Credential(BaseModel):
    """
    What a system connects with; written at the hand-over.

    File names are relative to the folder of the credential file.

    Attributes:
        url: Address of the node.
        issuer: The node's `iss`, where it differs from `url`; client assertions are addressed to it.
        system_id: Also the OAuth client id.
        secret: Client secret; None where the system proves itself with its `auth` key.
        auth_key_file: PEM file of the key for client assertions.
        auth_certificate: Its certificate, then the issuers, PEM.
        seal_key_file: PEM file of the key that seals packets.
        seal_certificate: Its certificate, then the issuers, PEM.
        agencies: Codes the system acts for, for the person who reads the file.
        anchors: Root certificates the node's receipts must lead to, PEM; empty: those the node names are believed.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    url: str
    issuer: str | None = None
    system_id: str
    credential_id: str | None = None
    secret: SecretStr | None = None
    auth_key_file: str | None = None
    auth_certificate: str | None = None
    seal_key_file: str | None = None
    seal_certificate: str | None = None
    agencies: tuple[str, ...] = ()
    anchors: tuple[str, ...] = Field(default=())

    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    @field_serializer("secret", when_used="json")
    def _write_secret(self, secret: SecretStr | None) -> str | None:
        return None if secret is None else secret.get_secret_value()

    @classmethod
    def read(cls, path: Path) -> Self:
        """
        Read a credential file.

        Raises:
            CredentialInvalid: It is missing, others may read it, or something is missing in it.
        """
        try:
            mode = path.stat().st_mode
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as unreadable:
            raise CredentialInvalid(f"the credential file {path} cannot be read: {unreadable}") from unreadable
        if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
            raise CredentialInvalid(f"others may read {path}; run: chmod 600 {path}")
        try:
            credential = cls.model_validate_json(text)
        except ValidationError as wrong:
            # The message of the library would quote what it read, and so the secret.
            places = ", ".join(".".join(str(part) for part in error["loc"]) or "JSON" for error in wrong.errors())
            raise CredentialInvalid(f"{path} is no credential file; wrong or missing: {places}") from None
        credential._folder = path.resolve().parent  # noqa: SLF001  (its own)
        return credential

    @classmethod
    def from_environment(cls) -> Self:
        """
        Read the file that `AXIS_CREDENTIAL` names.

        Raises:
            CredentialInvalid: The variable is not set, or the file is no good.
        """
        named = os.environ.get(ENVIRONMENT)
        if not named:
            raise CredentialInvalid(f"{ENVIRONMENT} does not name a credential file")
        return cls.read(Path(named).expanduser())

    def write(self, path: Path) -> None:
        """
        Write the file with mode 0600, at once and whole.
        """
        write_private(path, self.model_dump_json(indent=2, exclude_none=True) + "\n")

    def auth_key(self) -> PrivateKey:
        """
        Load the key for client assertions.
        """
        return self._key("auth_key_file", self.auth_key_file)

    def seal_key(self) -> PrivateKey:
        """
        Load the key that seals packets.
        """
        return self._key("seal_key_file", self.seal_key_file)

    def seal_certificates(self) -> list[x509.Certificate]:
        """
        Load the certificate of the seal, then its issuers without the root.
        """
        return self._certificates("seal_certificate", self.seal_certificate)

    def auth_certificates(self) -> list[x509.Certificate]:
        """
        Load the certificate of the auth key, then its issuers without the root.
        """
        return self._certificates("auth_certificate", self.auth_certificate)

    def anchor_certificates(self) -> list[x509.Certificate]:
        """
        Load the pinned root certificates.
        """
        return [one for pem in self.anchors for one in self._certificates("anchors", pem, roots=True)]

    def _key(self, field: str, name: str | None) -> PrivateKey:
        if not name:
            raise CredentialInvalid(f"the credential of {self.system_id} has no {field}")
        path = self._folder / Path(name).expanduser()
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as unreadable:
            raise CredentialInvalid(f"the key {path} cannot be read: {unreadable}") from unreadable
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise CredentialInvalid(f"the key {path} is neither P-256 nor RSA")
        return key

    def _certificates(self, field: str, pem: str | None, *, roots: bool = False) -> list[x509.Certificate]:
        if not pem:
            raise CredentialInvalid(f"the credential of {self.system_id} has no {field}")
        try:
            found = x509.load_pem_x509_certificates(pem.encode())
        except ValueError as unreadable:
            raise CredentialInvalid(f"{field} holds no certificates: {unreadable}") from unreadable
        return [one for one in found if roots or one.issuer != one.subject]


def write_private(path: Path, text: str) -> None:
    """
    Write a file that only its owner may read; a reader never sees half of it.

    Raises:
        CredentialInvalid: The folder does not exist or cannot be written to.
    """
    try:
        replace_private(path, text.encode())
    except OSError as refused:
        raise CredentialInvalid(f"{path} cannot be written: {refused}") from refused
