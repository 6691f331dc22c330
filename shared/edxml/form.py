"""
The header of a packet as JSON: without loss, and described by a JSON Schema.

The same names stand in the header of a delivery, so what was read can be sent on as it is.
"""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from shared.edxml.blocks import MessageHeader, TraceHeaderList
from shared.edxml.layout import Block, El, Kind, elements_of

SCHEMA_ID: Final = "https://json-schema.org/draft/2020-12/schema"


class AttachmentForm(BaseModel):
    """
    A file to attach.

    Attributes:
        part: Name of the part of the request that holds it.
        name: File name with extension; empty: the one of the part.
        description: What it is.
        content_id: Identifier in the packet; empty: one is derived.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: str = Field(min_length=1)
    name: str = ""
    description: str = ""
    content_id: str = Field(default="", pattern=r"^[A-Za-z0-9._@-]*$", max_length=200)


class PacketForm(BaseModel):
    """
    A packet without its files. The same form and files give the same packet, byte for byte.

    Attributes:
        header: MessageHeader.
        trace: TraceHeaderList; its first hop is the sender's, with the moment of sending.
        attachments: In the order of the manifest; None: every file that came, in their order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    header: MessageHeader
    trace: Annotated[TraceHeaderList, Field(description="Its first hop is the sender's, with the moment of sending.")]
    attachments: tuple[AttachmentForm, ...] | None = None


def form_schema() -> dict[str, Any]:
    """
    Give the JSON Schema of `PacketForm`, with the name in edXML and the rules of every field.
    """
    schema = PacketForm.model_json_schema()
    for model in _blocks(MessageHeader) | _blocks(TraceHeaderList):
        described = schema["$defs"][model.__name__]
        for name, mark in elements_of(model):
            described["properties"][name] |= _rules(mark)
        required = [name for name, mark in elements_of(model) if _must_be_given(model, name, mark)]
        if required:
            described["required"] = required
    return {"$schema": SCHEMA_ID, "title": "edXML packet (QCVN 102:2016, amendment 1:2022)", **schema}


def _must_be_given(model: type[Block], name: str, mark: El) -> bool:
    return mark.required or (model is MessageHeader and name in {"addressees", "document_id"})


def _rules(mark: El) -> dict[str, Any]:
    rules: dict[str, Any] = {"x-edxml": f"{mark.name}/{mark.item}" if mark.item else mark.name}
    if mark.kind is Kind.TEXT:
        rules["maxLength"] = mark.longest
        if mark.required:
            rules["minLength"] = 1
    if mark.kind is Kind.INTEGER and mark.allowed is not None and not mark.lenient:
        rules["enum"] = [*mark.allowed, None]
    return rules


def _blocks(model: type[Block]) -> set[type[Block]]:
    found = {model}
    for _, mark in elements_of(model):
        if mark.block is not None:
            found |= _blocks(mark.block)
    return found


__all__ = ["AttachmentForm", "PacketForm", "form_schema"]
