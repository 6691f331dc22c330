"""What a backup says about itself, and how it knows a secret again that it does not hold."""

import os
from datetime import datetime
from typing import Final, Literal

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import BaseModel, ConfigDict

FORMAT: Final = "axis-backup-1"

_SALT_BYTES: Final = 16


class Member(BaseModel):
    """
    One file of a backup.
    """

    model_config = ConfigDict(frozen=True)

    sha256: str
    size_bytes: int


class Schema(BaseModel):
    """
    One service's part of the database.

    Attributes:
        migration: Where the schema stood.
        rows: Rows of each table, in the snapshot.
    """

    model_config = ConfigDict(frozen=True)

    migration: str
    rows: dict[str, int]


class Packets(BaseModel):
    """
    The packets the snapshot refers to.

    Attributes:
        count: How many are in the backup.
        size_bytes: Their bytes.
        missing: Digests of those that were not there, or not whole, when the backup was taken.
    """

    model_config = ConfigDict(frozen=True)

    count: int
    size_bytes: int
    missing: tuple[str, ...] = ()


class Manifest(BaseModel):
    """
    The last member of a backup; a backup without it is unfinished.

    Attributes:
        release: Of the software that made it.
        snapshot_at: The moment the database is of, by the database's clock.
        postgres: Major version of the server.
        programs: Major version of the `pg_dump` that wrote the dumps.
        secrets: Salted scrypt of each secret that is not inside, to know it again.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal["axis-backup-1"] = FORMAT
    release: str
    snapshot_at: datetime
    node_id: str
    public_url: str
    postgres: int
    programs: int
    schemas: dict[str, Schema]
    packets: Packets
    files: dict[str, Member]
    secrets: dict[str, str]


def fingerprint(secret: bytes) -> str:
    """
    Write down what a secret can be known by, at a price for whoever tries others.
    """
    salt = os.urandom(_SALT_BYTES)
    return (salt + _kdf(salt).derive(secret)).hex()


def fits(secret: bytes, known: str) -> bool:
    """
    Tell whether a secret is the one that was written down.
    """
    octets = bytes.fromhex(known)
    try:
        _kdf(octets[:_SALT_BYTES]).verify(secret, octets[_SALT_BYTES:])
    except InvalidKey:
        return False
    return True


def _kdf(salt: bytes) -> Scrypt:
    return Scrypt(salt=salt, length=32, n=2**15, r=8, p=1)
