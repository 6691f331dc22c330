"""
Where a system's private keys lie: beside its credential file, readable by their owner alone.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from deploy.cli.errors import LocalProblem
from shared.client import key_to_pem, make_key, write_private

PURPOSES: Final = ("seal", "auth")


@dataclass(frozen=True)
class KeyFolder:
    """
    The keys of one system.

    Attributes:
        folder: Where they lie.
        prefix: First part of their names.
    """

    folder: Path
    prefix: str

    def names(self) -> dict[str, str]:
        """
        Give the file names by purpose.
        """
        return {purpose: f"{self.prefix}.{purpose}.pem" for purpose in PURPOSES}

    def make(self) -> dict[str, ec.EllipticCurvePrivateKey]:
        """
        Give the keys by purpose, making those that are missing; a key that is there is never replaced.

        Raises:
            LocalProblem: A file that is there is no such key.
        """
        keys = {}
        for purpose, name in self.names().items():
            path = self.folder / name
            if not path.exists():
                write_private(path, key_to_pem(make_key()))
            keys[purpose] = _read(path)
        return keys


def _read(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise LocalProblem(
            f"{path} không phải khóa P-256. / {path} is no P-256 key.",
            remedy="Dời tệp đi rồi làm lại. / Move the file away and try again.",
        )
    return key
