"""Certificates that clients show in the TLS handshake."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from cryptography import x509

from deploy.proxy.certificates import make_certificate


@dataclass(frozen=True)
class ClientFiles:
    """
    A client's certificate, its key, and who signed it.
    """

    authority: Path
    certificate: Path
    key: Path

    @staticmethod
    def read_escaped(header: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate(unquote_to_bytes(header))


def a_client_certificate(folder: Path) -> ClientFiles:
    """
    Make one from an authority of its own.
    """
    made = make_certificate(Path(tempfile.mkdtemp(dir=folder)), ("qlvb",), purpose="client")
    return ClientFiles(made.authority, made.certificate, made.key)
