"""Packets made here of a form: a JSON header and files, for systems that cannot write edXML."""

import asyncio
import tempfile
from pathlib import Path
from typing import Final

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.requests import Request

from gateway.api.bodies import incoming, receive_packet
from gateway.api.context import Context
from gateway.api.multipart import DOCUMENT, FORM_TYPE, SIGNATURE, Form, FormReader
from gateway.errors import RequestInvalid
from shared.blobs import StoredBlob
from shared.contracts.base import Lane
from shared.edxml import AttachmentSource, PacketForm, write_packet
from shared.errors import FieldError
from shared.tokens import Caller

_PIECE_BYTES: Final = 1024 * 1024


async def receive_document(
    request: Request, context: Context, caller: Caller, *, lane: Lane = Lane.ORDINARY
) -> StoredBlob:
    """
    Receive a packet, or a form of which one is made.

    Raises:
        Rejected, Unavailable: As `receive_packet` and `build_packet` do.
    """
    receive = build_packet if _is_form(request) else receive_packet
    return await receive(request, context, caller, lane=lane)


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM_TYPE


async def build_packet(request: Request, context: Context, caller: Caller, *, lane: Lane = Lane.ORDINARY) -> StoredBlob:
    """
    Receive a form, make the packet it describes and store it. Nothing of the form is kept.

    The packet is sealed where the form brings a signature over its parts; validation names them.

    Raises:
        RequestInvalid: It is no form, or what describes the packet is not as the schema says.
        PacketInvalid, DocumentIdMissing: No reader would take such a packet.
        Rejected, Unavailable: As for a packet that is sent whole.
    """
    limit = context.settings.max_packet_bytes
    with tempfile.TemporaryDirectory(prefix="axis-form-") as name:
        folder = Path(name)
        reader = FormReader(request.headers["content-type"], folder, max_json_bytes=context.settings.max_json_bytes)
        try:
            async with incoming(request, context, caller, lane=lane, types=(FORM_TYPE,), max_bytes=limit) as chunks:
                async for chunk in chunks:
                    await asyncio.to_thread(reader.feed, chunk)
        finally:
            reader.close()
        form = reader.finish()
        described = _described(form)
        packet = folder / "packet"
        signature = form.texts.get(SIGNATURE, b"")
        await asyncio.to_thread(_write, described, _sources(form, described), signature, packet)
        async with context.blobs.writer(limit) as writer:
            with packet.open("rb") as octets:
                while piece := await asyncio.to_thread(octets.read, _PIECE_BYTES):
                    await writer.write(piece)
            return await writer.commit()


def _described(form: Form) -> PacketForm:
    try:
        return PacketForm.model_validate_json(form.texts[DOCUMENT])
    except ValidationError as error:
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in error.errors()]) from None


def _sources(form: Form, described: PacketForm) -> list[AttachmentSource]:
    if described.attachments is None:
        return [AttachmentSource(file=file.path, name=file.name) for file in form.files]
    files = {file.part: file for file in form.files}
    named = [one.part for one in described.attachments]
    errors = [
        FieldError(
            pointer=f"/attachments/{index}/part",
            code="part-missing",
            detail="Biểu mẫu không có phần này, hoặc nêu hai lần. / The form has no such part, or it is named twice.",
        )
        for index, part in enumerate(named)
        if part not in files or named.count(part) > 1
    ]
    errors += [
        FieldError(
            pointer="/attachments",
            code="part-unused",
            detail="Có tệp không được nêu trong attachments. / A file came that attachments does not name.",
        )
        for part in files
        if part not in named
    ]
    if errors:
        raise RequestInvalid(errors[0].detail, errors=errors)
    return [
        AttachmentSource(
            file=files[one.part].path,
            name=one.name or files[one.part].name,
            description=one.description,
            content_id=one.content_id,
        )
        for one in described.attachments
    ]


def _write(described: PacketForm, sources: list[AttachmentSource], signature: bytes, packet: Path) -> None:
    # The same form gives the same packet, so the sender could seal its parts before; routing judges what came of it.
    seal = (lambda _: signature) if signature else None
    with packet.open("wb") as out:
        write_packet(described.header, sources, out, trace=described.trace, seal=seal)
