"""Receiving: the bytes of packets and attachments, streamed, resumable."""

import base64
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import quote
from uuid import UUID

from fastapi import FastAPI, Path
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gateway.api.answers import SIGNED_IN, etag_matches, problems
from gateway.api.context import Context
from gateway.api.route import AccessToken
from gateway.errors import RangeNotSatisfiable
from shared.contracts.routing import (
    DESCRIBE_ATTACHMENT,
    DESCRIBE_PACKET,
    OPEN_ATTACHMENT,
    OPEN_PACKET,
    ChooseDelivery,
    OpenAttachment,
    OpenBlob,
)

_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")
_RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_MAX_ATTACHMENTS: Final = 1_000_000

_BYTES: Final[dict[str, Any]] = {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "All of it.", **_BYTES},
    206: {"description": "The range asked for.", **_BYTES},
    304: {"description": "`If-None-Match` names the bytes there are."},
    **problems(*SIGNED_IN, "not-found", "range-not-satisfiable", "blob-missing"),
}


class ByteRange(NamedTuple):
    """
    Bytes from `start` to before `end`.
    """

    start: int
    end: int


class _File(StreamingResponse):
    """Bytes of any type."""

    media_type = None


@dataclass(frozen=True)
class _Files:
    """Gives out bytes. GET commits `fetched` before the first byte leaves; HEAD and answers without bytes do not."""

    context: Context

    async def give(self, request: Request, question: ChooseDelivery | OpenAttachment) -> Response:
        headers = request.headers
        part: ByteRange | None = None
        if request.method == "HEAD" or "if-none-match" in headers or "range" in headers:
            blob = await self._describe(question)
            if etag_matches(headers.get("if-none-match", ""), _etag(blob)):
                return Response(status_code=304, headers={"ETag": _etag(blob), "Cache-Control": "private, no-cache"})
            if request.method == "HEAD":
                return Response(headers={**_head(blob), "Content-Length": str(blob.bytes)})
            part = _part(headers.get("range"), headers.get("if-range"), blob)
        blob = await self._fetch(question)
        start, end = part or ByteRange(0, blob.bytes)
        head = {**_head(blob), "Content-Length": str(end - start)}
        if part is not None:
            head["Content-Range"] = f"bytes {start}-{end - 1}/{blob.bytes}"
        chunks = await begun(self.context.blobs.open(blob.sha256, start=start, end=end))
        return _File(chunks, status_code=200 if part is None else 206, headers=head)

    async def _describe(self, question: ChooseDelivery | OpenAttachment) -> OpenBlob:
        if isinstance(question, OpenAttachment):
            return await self.context.bus.ask(DESCRIBE_ATTACHMENT, question)
        return await self.context.bus.ask(DESCRIBE_PACKET, question)

    async def _fetch(self, question: ChooseDelivery | OpenAttachment) -> OpenBlob:
        if isinstance(question, OpenAttachment):
            return await self.context.bus.ask(OPEN_ATTACHMENT, question)
        return await self.context.bus.ask(OPEN_PACKET, question)


def add_files(app: FastAPI, context: Context) -> None:
    """
    Add packet and attachments.
    """
    files = _Files(context)
    for method in ("GET", "HEAD"):
        _add(app, method, files)


def _add(app: FastAPI, method: str, files: _Files) -> None:
    what = "" if method == "GET" else " (its head only)"

    @app.api_route(
        "/v1/inbox/{delivery_id}/packet",
        methods=[method],
        tags=["receiving"],
        summary=f"The packet, as it was sent{what}",
        operation_id=f"{method.lower()}_packet",
        response_class=_File,
        responses=_ANSWERS,
    )
    async def packet(request: Request, delivery_id: UUID, token: AccessToken) -> Response:
        return await files.give(request, ChooseDelivery(token=token, delivery_id=delivery_id))

    @app.api_route(
        "/v1/inbox/{delivery_id}/attachments/{n}",
        methods=[method],
        tags=["receiving"],
        summary=f"One attachment, counted from 0{what}",
        operation_id=f"{method.lower()}_attachment",
        response_class=_File,
        responses=_ANSWERS,
    )
    async def attachment(
        request: Request, delivery_id: UUID, n: Annotated[int, Path(ge=0, le=_MAX_ATTACHMENTS)], token: AccessToken
    ) -> Response:
        return await files.give(request, OpenAttachment(token=token, delivery_id=delivery_id, n=n))


def read_range(header: str | None, size: int) -> ByteRange | None:
    """
    Read a header `Range`; None where all is to be sent: no header, one we do not serve, or one that asks for several.

    Raises:
        RangeNotSatisfiable: It begins after the end.

    Source:
        RFC 9110 section 14.
    """
    match = _RANGE.fullmatch((header or "").replace(" ", ""))
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < start:
            return None
    if start >= size or start >= end:
        raise RangeNotSatisfiable(f"the file has {size} bytes", size_bytes=size)
    return ByteRange(start, end)


def disposition(file_name: str) -> str:
    """
    Write `Content-Disposition` so that a browser saves the file and never shows it.

    Source:
        RFC 6266, RFC 8187.
    """
    shown = "".join(letter for letter in file_name if letter.isprintable()).replace("/", "_").replace("\\", "_")
    shown = shown.encode("utf-8", "replace").decode()[:200] or "file"
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", shown)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(shown, safe='')}"


def _part(wanted: str | None, if_range: str | None, blob: OpenBlob) -> ByteRange | None:
    if if_range is not None and if_range.strip() != _etag(blob):
        return None
    return read_range(wanted, blob.bytes)


def _etag(blob: OpenBlob) -> str:
    return f'"{blob.sha256}"'


def _head(blob: OpenBlob) -> dict[str, str]:
    digest = base64.b64encode(bytes.fromhex(blob.sha256)).decode()
    # The type was chosen by the sender: it is passed on if it is one, and no browser is allowed to act on it.
    media_type = blob.content_type if _MEDIA_TYPE.fullmatch(blob.content_type) else "application/octet-stream"
    return {
        "Content-Type": media_type,
        "ETag": _etag(blob),
        "Repr-Digest": f"sha-256=:{digest}:",
        "Accept-Ranges": "bytes",
        "Content-Disposition": disposition(blob.file_name),
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }


async def begun(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """
    Read the first chunk, so that missing bytes are a problem and not an answer cut short.
    """
    first = await anext(chunks, b"")

    async def all_of_it() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    return all_of_it()
