"""Request bodies: small ones whole, packets in a stream; both bounded and both complete, or refused."""

import asyncio
import base64
import hashlib
import re
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from starlette.requests import ClientDisconnect, Request

from gateway.api.context import Context
from gateway.errors import (
    BodyIncomplete,
    DigestMismatch,
    LengthRequired,
    RequestInvalid,
    RequestTooLarge,
    WrongMediaType,
)
from gateway.limits import Pace
from shared.blobs import PacketTooLarge, StoredBlob
from shared.contracts.base import Lane
from shared.tokens import Caller

PACKET_TYPES = ("application/edxml+xml", "application/xml", "text/xml")


async def read_small(request: Request, *, max_bytes: int, idle_seconds: float) -> bytes:
    """
    Read a whole small body.

    Raises:
        RequestTooLarge: It is, or says it will be, larger than the limit.
        BodyIncomplete: It stopped before its end.
    """
    length = _announced(request)
    if length is not None and length > max_bytes:
        raise RequestTooLarge(f"a body may have at most {max_bytes} bytes here")
    body = bytearray()
    async with aclosing(_stream(request, length, idle_seconds)) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > max_bytes:
                raise RequestTooLarge(f"a body may have at most {max_bytes} bytes here")
    return bytes(body)


async def receive_packet(
    request: Request,
    context: Context,
    caller: Caller,
    *,
    lane: Lane = Lane.ORDINARY,
    types: tuple[str, ...] = PACKET_TYPES,
    max_bytes: int | None = None,
) -> StoredBlob:
    """
    Stream a body into the blob store. Everything that can be refused by the head is refused before the first byte is
    read, so that a client that sent `Expect: 100-continue` need not send the body.

    Args:
        request: Its body is read.
        context: Limits, and where the bytes go.
        caller: Whose token was verified; its system takes the place.
        lane: The urgency announced.
        types: Media types taken.
        max_bytes: Largest body; None: the largest packet.

    Raises:
        WrongMediaType, LengthRequired, PacketTooLarge: By the head.
        TooManyUploads: The caller's system sends its share already.
        BodyIncomplete, UploadTooSlow, DigestMismatch: By the bytes; nothing of them is kept.
        Busy, StorageLow: Not now.
    """
    limit = context.settings.max_packet_bytes if max_bytes is None else max_bytes
    async with (
        incoming(request, context, caller, lane=lane, types=types, max_bytes=limit) as chunks,
        context.blobs.writer(limit) as writer,
    ):
        async for chunk in chunks:
            await writer.write(chunk)
        return await writer.commit()


@asynccontextmanager
async def incoming(
    request: Request, context: Context, caller: Caller, *, lane: Lane, types: tuple[str, ...] | None, max_bytes: int
) -> AsyncGenerator[AsyncGenerator[bytes, None], None]:
    """
    Give the chunks of a large body, once its head is good and the caller has a place; see `receive_packet`.

    What the chunks make up counts only when they ended by themselves: then they are complete and have their digest.
    Without types, a body of any type is taken.
    """
    if types is not None:
        check_media_type(request, types)
    length = _announced(request)
    if length is None:
        raise LengthRequired("announce the length of the body in Content-Length")
    if length > max_bytes:
        raise PacketTooLarge(f"a body may have at most {max_bytes} bytes here")
    expected = _content_digest(request)
    await context.room.check(length)
    with context.uploads.place(lane, caller.system_id):
        stream = _stream(request, length, context.settings.body_idle_seconds, context.pace)
        async with aclosing(stream), aclosing(_checked(stream, expected)) as chunks:
            yield chunks


async def _checked(chunks: AsyncGenerator[bytes, None], expected: bytes | None) -> AsyncGenerator[bytes, None]:
    digest = hashlib.sha256()
    async for chunk in chunks:
        if expected is not None:
            digest.update(chunk)
        yield chunk
    if expected is not None and digest.digest() != expected:
        raise DigestMismatch("the bytes that came do not have the SHA-256 in Content-Digest")


def check_media_type(request: Request, types: tuple[str, ...]) -> None:
    """
    Make sure the body is of a type taken here.

    Raises:
        WrongMediaType: It is not, or it is compressed.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in types:
        raise WrongMediaType(f"send {types[0]}")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise WrongMediaType("send the body without Content-Encoding")


def has_unstorable_text(value: Any) -> bool:
    """
    Tell whether some text of a JSON value holds NUL or half a surrogate pair: legal in JSON, but no database and no
    UTF-8 can hold it.
    """
    rest = [value]
    while rest:
        current = rest.pop()
        if isinstance(current, str):
            if "\0" in current or any("\ud800" <= letter <= "\udfff" for letter in current):
                return True
        elif isinstance(current, dict):
            rest += current.keys()
            rest += current.values()
        elif isinstance(current, list):
            rest += current
    return False


async def _stream(
    request: Request, length: int | None, idle_seconds: float, pace: Pace | None = None
) -> AsyncGenerator[bytes, None]:
    received = 0
    course = None if pace is None else pace.begin()
    chunks = request.stream()
    try:
        while True:
            begun_at = time.monotonic()
            async with asyncio.timeout(idle_seconds):
                chunk = await anext(chunks)
            received += len(chunk)
            if course is not None and received != length:
                course.moved(len(chunk), time.monotonic() - begun_at)
            if chunk:
                yield chunk
    except StopAsyncIteration:
        pass
    except ClientDisconnect:
        raise BodyIncomplete(f"the connection ended after {received} bytes") from None
    except TimeoutError:
        raise BodyIncomplete(f"no more came after {received} bytes") from None
    if length is not None and received != length:
        raise BodyIncomplete(f"{received} of {length} bytes came")


def _announced(request: Request) -> int | None:
    text = request.headers.get("content-length")
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise RequestInvalid("Content-Length must be a number")
    return int(text)


def _content_digest(request: Request) -> bytes | None:
    """
    Source:
        RFC 9530 section 2; algorithms other than `sha-256` are ignored.
    """
    for entry in request.headers.get("content-digest", "").split(","):
        name, _, value = entry.strip().partition("=")
        if name == "sha-256":
            try:
                return base64.b64decode(value.strip().strip(":"), validate=True)
            except ValueError:
                raise RequestInvalid("Content-Digest must read sha-256=:…: with base64 between the colons") from None
    return None
