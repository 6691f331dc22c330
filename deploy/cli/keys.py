"""
Where a system's private keys lie: beside its credential file, readable by their owner alone.
"""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from deploy.cli.errors import LocalProblem
from shared.client.keys import PURPOSES, keep_key


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
        return {purpose: _keep(self.folder / name) for purpose, name in self.names().items()}


def _keep(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        return keep_key(path)
    except ValueError:
        raise LocalProblem(
            f"{path} không phải khóa P-256. / {path} is no P-256 key.",
            remedy="Dời tệp đi rồi làm lại. / Move the file away and try again.",
        ) from None
