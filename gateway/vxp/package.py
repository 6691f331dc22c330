"""The body of `sendEdoc`: a package, a line end that belongs to the call, and a digest in a form of its own."""

import hashlib
from collections.abc import AsyncIterator
from typing import Final

from gateway.vxp.errors import VxpHashMismatch
from shared.blobs import BlobWriter, StoredBlob

_LINE_END: Final = b"\r\n"


def write_without_zeros(digest: bytes) -> str:
    """
    Write a digest as the Java client does: bytes below 16 with one digit.
    """
    return "".join(f"{byte:x}" for byte in digest)


async def store_package(chunks: AsyncIterator[bytes], writer: BlobWriter, hash_file: str) -> StoredBlob:
    """
    Store a package without the one CRLF that the client puts behind it; with it, where only so the digest fits.

    Args:
        chunks: The body.
        writer: Where it goes; nothing is kept unless this returns.
        hash_file: SHA-256 of the package in hexadecimal, with or without leading zeros.

    Raises:
        VxpHashMismatch: The digest fits neither way.
    """
    digest = hashlib.sha256()
    held = b""
    async for chunk in chunks:
        joined = held + chunk
        body, held = joined[: -len(_LINE_END)], joined[-len(_LINE_END) :]
        if body:
            digest.update(body)
            await writer.write(body)
    if held == _LINE_END and _fits(digest.digest(), hash_file):
        return await writer.commit()
    digest.update(held)
    if held:
        await writer.write(held)
    if not _fits(digest.digest(), hash_file):
        raise VxpHashMismatch(
            "Nội dung nhận được không khớp hash-file. / What came does not have the SHA-256 in hash-file."
        )
    return await writer.commit()


def _fits(digest: bytes, hash_file: str) -> bool:
    return hash_file.strip().lower() in {digest.hex(), write_without_zeros(digest)}
