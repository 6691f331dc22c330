"""Secrets of machines: made here, kept as HMAC or encrypted, never in the clear."""

import base64
import hashlib
import hmac
import os
from collections.abc import Callable
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SECRET_BYTES = 32
_NONCE_BYTES = 12
WEBHOOK_PREFIX = "whsec_"
"""Standard Webhooks marks symmetric signing secrets so."""


class Unreadable(Exception):
    """
    A sealed secret was made under another key.
    """


class Vault:
    """
    Makes and keeps secrets.

    A secret has 256 bits of chance, so a fast keyed hash protects it as well as a slow one would; the pepper makes a
    stolen table useless. Every use has a label of its own, so that a value kept for one never passes for another.

    Args:
        pepper: Key of the stored HMACs.
        webhook_key: Key that secrets which must be read again are encrypted under.
        entropy: Source of chance.
    """

    def __init__(self, *, pepper: str, webhook_key: str, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._pepper = pepper.encode()
        # The setting is text of any length; a cipher wants 32 bytes.
        self._webhooks = AESGCM(hashlib.sha256(b"registry webhook secrets|" + webhook_key.encode()).digest())
        self._credentials = AESGCM(hashlib.sha256(b"registry credential secrets|" + webhook_key.encode()).digest())
        self._entropy = entropy

    def new_secret(self) -> str:
        """
        Make a secret of 32 bytes, base64url without padding.
        """
        return _write(self._entropy(SECRET_BYTES))

    def digest_credential(self, credential_id: UUID, secret: str) -> bytes:
        """
        Give what is stored of a credential's secret.
        """
        return self._mac("credential", str(credential_id), secret)

    def digest_claim(self, registration_id: UUID, claim_token: str) -> bytes:
        """
        Give what is stored of a registration's claim token.
        """
        return self._mac("claim", str(registration_id), claim_token)

    def digest_idempotency_key(self, contact: str, key: str) -> bytes:
        """
        Give what is stored of a stranger's idempotency key.
        """
        return self._mac("idempotency", contact, key)

    def claim_token(self, registration_id: UUID, idempotency_key: str | None) -> str:
        """
        Make a claim token.

        With an idempotency key it is derived, so that the same request again gets the same token although only its
        HMAC is kept: neither the database nor the pepper gives it away without the key.
        """
        if idempotency_key is None:
            return self.new_secret()
        return _write(self._mac("claim token", str(registration_id), idempotency_key))

    def new_webhook_secret(self) -> str:
        """
        Make a signing secret for a webhook.
        """
        return WEBHOOK_PREFIX + base64.b64encode(self._entropy(SECRET_BYTES)).decode()

    def seal(self, webhook_id: UUID, secret: str) -> bytes:
        """
        Encrypt the secret of a webhook, which must be read again, bound to its row.
        """
        return self._encrypt(self._webhooks, webhook_id, secret)

    def unseal(self, webhook_id: UUID, sealed: bytes) -> str:
        """
        Decrypt it.

        Raises:
            Unreadable: It was sealed under another key, or for another row.
        """
        return _decrypt(self._webhooks, webhook_id, sealed)

    def seal_credential(self, credential_id: UUID, secret: str) -> bytes:
        """
        Encrypt the secret of a credential under which headers are signed, bound to its row.
        """
        return self._encrypt(self._credentials, credential_id, secret)

    def unseal_credential(self, credential_id: UUID, sealed: bytes) -> str:
        """
        Decrypt it.

        Raises:
            Unreadable: It was sealed under another key, or for another row.
        """
        return _decrypt(self._credentials, credential_id, sealed)

    def _encrypt(self, cipher: AESGCM, owner: UUID, secret: str) -> bytes:
        nonce = self._entropy(_NONCE_BYTES)
        return nonce + cipher.encrypt(nonce, secret.encode(), owner.bytes)

    def _mac(self, label: str, owner: str, value: str) -> bytes:
        message = "|".join((label, str(len(owner)), owner, value))
        return hmac.new(self._pepper, message.encode(), hashlib.sha256).digest()


def same(first: bytes | None, second: bytes) -> bool:
    """
    Compare in constant time; nothing stored is never the same.
    """
    return first is not None and hmac.compare_digest(first, second)


def _decrypt(cipher: AESGCM, owner: UUID, sealed: bytes) -> str:
    try:
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], owner.bytes).decode()
    except InvalidTag as error:
        raise Unreadable("a secret was sealed under another key, or for another row") from error


def _write(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
