"""
Bytes on their way in: streamed into a file, resumed where a line breaks, kept only if the digest fits.
"""

import asyncio
import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

import httpx

from shared.client.answers import Fetched
from shared.client.bodies import hash_stream
from shared.client.errors import DigestMismatch, NodeUnreachable
from shared.client.retries import RetryPolicy

Open = Callable[[dict[str, str]], AbstractAsyncContextManager[httpx.Response]]
"""Asks for the bytes with further request headers."""


async def download(open_stream: Open, into: Path, *, expected: str | None, retries: RetryPolicy) -> Fetched:
    """
    Fetch bytes into a file that appears only once it is whole.

    Args:
        open_stream: Asks for the bytes; called again with a `Range` where a line broke.
        into: File to make or replace.
        expected: Hex SHA-256 announced; None: the `ETag` of the answer says it.
        retries: How often a broken line is taken up again.

    Raises:
        DigestMismatch: Other bytes came; no file is left.
        NodeUnreachable: The line broke too often.
    """
    with _appearing(into) as file:
        announced = await _fill(file, open_stream, retries)
        wanted = expected or announced
        await asyncio.to_thread(file.flush)
        file.seek(0)
        found, size = await asyncio.to_thread(hash_stream, file)
        if wanted is not None and found != wanted:
            raise DigestMismatch(f"{found} came where {wanted} was announced")
        await asyncio.to_thread(os.fsync, file.fileno())
    return Fetched(into, found, size)


@contextlib.contextmanager
def _appearing(into: Path) -> Iterator[BinaryIO]:
    handle, name = tempfile.mkstemp(dir=into.parent, prefix=f".{into.name}.", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
        part.replace(into)
    finally:
        part.unlink(missing_ok=True)


async def _fill(file: BinaryIO, open_stream: Open, retries: RetryPolicy) -> str | None:
    made = 0
    while True:
        made += 1
        start = file.tell()
        try:
            async with open_stream({"Range": f"bytes={start}-"} if start else {}) as response:
                if response.status_code != HTTPStatus.PARTIAL_CONTENT:
                    # The node sends everything anew, as it may.
                    file.seek(0)
                    file.truncate()
                async for piece in response.aiter_bytes():
                    await asyncio.to_thread(file.write, piece)
                return _etag(response)
        except NodeUnreachable:
            pause = retries.pause_after(made)
            if pause is None:
                raise
            await retries.sleep(pause)


def _etag(response: httpx.Response) -> str | None:
    written = response.headers.get("ETag", "").removeprefix("W/").strip('"').removeprefix("sha256:")
    is_digest = len(written) == hashlib.sha256().digest_size * 2 and set(written) <= set("0123456789abcdef")
    return written if is_digest else None
