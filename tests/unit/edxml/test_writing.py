import io
import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from types import UnionType
from typing import Union, get_args, get_origin

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from lxml import etree

from shared.edxml import (
    AttachmentForm,
    AttachmentSource,
    DocumentIdMissing,
    MessageHeader,
    Organisation,
    Packet,
    PacketForm,
    PacketInvalid,
    StatusReport,
    TraceHeaderList,
    form_schema,
    write_packet,
    write_status,
)
from shared.edxml.findings import local_name
from shared.edxml.interpret import STATUS_CODES
from shared.edxml.layout import Block, El, Kind, elements_of
from shared.edxml.names import QCVN
from shared.testing.packets import a_header, a_packet, a_pdf

TEXT = st.text(
    st.one_of(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), st.sampled_from("\t\n<&>\"']\r")),
    max_size=20,
).map(str.strip)
FILLED = TEXT.filter(bool)
SCALARS: dict[Kind, Callable[[El], st.SearchStrategy[object]]] = {
    Kind.TEXT: lambda mark: FILLED if mark.required else TEXT,
    Kind.INTEGER: lambda mark: (
        st.sampled_from(mark.allowed) if mark.allowed else st.none() | st.integers(0, 999_999_999)
    ),
    Kind.FLAG: lambda _: st.none() | st.booleans(),
    Kind.BOOLEAN: lambda _: st.none() | st.booleans(),
    Kind.DATE: lambda mark: _optional(mark, st.dates(date(1900, 1, 1), date(2999, 12, 31))),
    Kind.MOMENT: lambda _: st.datetimes(datetime(1901, 1, 1), datetime(2999, 1, 1)).map(  # noqa: DTZ001
        lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
    ),
    Kind.TEXTS: lambda _: st.lists(FILLED, max_size=2).map(tuple),
}


def _optional(mark: El, values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return values if mark.required else st.none() | values


def _says_something(block: Block) -> bool:
    return block != type(block)()


def blocks(model: type[Block]) -> st.SearchStrategy[Block]:
    """
    Any block of a model, derived from the declarations that the reader and the writer follow.
    """
    fields = {}
    for name, mark in elements_of(model):
        if mark.kind is Kind.BLOCKS:
            # A block with nothing in it is not there, so no such block is made.
            fields[name] = st.lists(blocks(mark.block).filter(_says_something), max_size=2).map(tuple)
        elif mark.kind is Kind.BLOCK:
            annotation = model.model_fields[name].annotation
            optional = get_origin(annotation) in {UnionType, Union} and type(None) in get_args(annotation)
            made = blocks(mark.block)
            fields[name] = (st.none() | made.filter(_says_something)) if optional else made
        else:
            fields[name] = SCALARS[mark.kind](mark)
    return st.builds(model, **fields)


HEADERS = st.builds(
    lambda header, to, document_id, number: header.model_copy(
        update={
            "addressees": tuple(to),
            "document_id": document_id,
            "code": header.code.model_copy(update={"number": number}),
        }
    ),
    blocks(MessageHeader),
    st.lists(blocks(Organisation), min_size=1, max_size=3, unique_by=lambda to: to.organ_id.upper()),
    FILLED,
    FILLED,
)
STATUSES = st.builds(
    lambda status, code: status.model_copy(update={"code": code}),
    blocks(StatusReport),
    st.sampled_from(sorted(STATUS_CODES)),
)
NAMES = st.sampled_from(["a.pdf", "b.docx", "c.zip", "d.txt", "e", "Quyết định.PNG", "f.<&>"])
SOURCES = st.lists(st.builds(AttachmentSource, st.binary(max_size=200), NAMES, TEXT), max_size=3)
VALIDATOR = Draft202012Validator(form_schema())
QUICK = settings(
    max_examples=60,
    deadline=None,
    # A packet has hundreds of values: making a failing one smaller takes minutes and tells little.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@QUICK
@given(HEADERS, blocks(TraceHeaderList), SOURCES)
def test_what_is_written_is_read_again(
    read: Callable[..., Packet], header: MessageHeader, trace: TraceHeaderList, sources: list[AttachmentSource]
) -> None:
    out = io.BytesIO()
    write_packet(header, sources, out, trace=trace)
    contents: dict[int, bytes] = {}

    class Kept(io.BytesIO):
        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

        def close(self) -> None:
            contents[self.index] = self.getvalue()

    packet = read(out.getvalue(), attachments_into=Kept)
    assert packet.header == header
    assert packet.trace == trace
    assert [contents[index] for index in range(len(sources))] == [source.file for source in sources]
    for source, attachment, reference in zip(sources, packet.attachments, packet.manifest, strict=True):
        assert attachment.name == reference.name == source.name
        assert attachment.description == reference.description == source.description
        assert attachment.content_size == len(source.file)
        assert attachment.content_type == reference.content_type


@QUICK
@given(STATUSES)
def test_a_status_that_is_written_is_read_again(read: Callable[..., Packet], status: StatusReport) -> None:
    out = io.BytesIO()
    write_status(status, out)
    assert read(out.getvalue()).status == status


def test_the_same_input_gives_the_same_bytes() -> None:
    files = [("a.txt", b"x"), ("b.pdf", a_pdf())]
    assert a_packet(files=files) == a_packet(files=files)


@pytest.mark.parametrize(
    ("name", "content_type", "unzipped"),
    [
        ("a.pdf", "application/pdf", False),
        ("a.DOCX", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", False),
        ("a.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", False),
        ("a.zip", "application/zip", False),
        ("a.png", "application/zip", True),
        ("a", "application/zip", True),
        ("a.tar.gz", "application/zip", True),
    ],
)
def test_only_formats_that_everybody_opens_travel_as_they_are(
    read: Callable[..., Packet], name: str, content_type: str, unzipped: bool
) -> None:
    (attachment,) = read(a_packet(files=[(name, b"%PDF-1.4")])).attachments
    assert attachment.content_type == content_type
    assert attachment.unzipped is unzipped


def test_a_packet_that_a_reader_would_refuse_is_not_written() -> None:
    out = io.BytesIO()
    with pytest.raises(PacketInvalid) as caught:
        write_packet(a_header(to=[], subject=""), [], out, trace=TraceHeaderList())
    assert {error.code for error in caught.value.errors} == {"addressee-missing", "element-missing"}
    with pytest.raises(DocumentIdMissing):
        write_packet(a_header(document_id=""), [], out, trace=TraceHeaderList())
    with pytest.raises(PacketInvalid):
        write_packet(a_header(subject="a\x00b"), [], out, trace=TraceHeaderList())
    assert not out.getvalue()


def test_files_of_the_disk_are_attached_without_being_held(tmp_path: Path, read: Callable[..., Packet]) -> None:
    path = tmp_path / "to-trinh.pdf"
    path.write_bytes(a_pdf("x"))
    packet = read(a_packet(files=[AttachmentSource(path, path.name, "Tờ trình", "tt-1")]))
    assert packet.attachments[0].content_id == "tt-1"
    assert packet.attachments[0].content_size == path.stat().st_size


def test_what_is_written_has_one_form(read: Callable[..., Packet]) -> None:
    octets = a_packet(files=[("a.pdf", a_pdf())])
    envelope = octets[octets.index(b"<edXML:edXMLEnvelope") : octets.index(b"</edXML:edXMLEnvelope>")]
    # Some systems refuse packets whose envelope has elements without the prefix.
    assert set(re.findall(rb"<(\w+):?", envelope)) == {b"edXML"}
    assert not re.search(rb"<([\w:]+)></\1>", envelope)
    children = [
        local_name(child) for child in etree.fromstring(octets).iterfind(f".//{{{QCVN}}}MessageHeader/{{{QCVN}}}*")
    ]
    order = [mark.name for _, mark in elements_of(MessageHeader)]
    assert children == sorted(children, key=order.index)
    assert {"From", "To", "DocumentId"} <= set(children)
    packet = read(octets)
    assert [reference.content_type for reference in packet.manifest] == ["application/pdf"]
    assert not packet.warnings


@QUICK
@given(HEADERS, blocks(TraceHeaderList))
def test_the_json_form_loses_nothing(header: MessageHeader, trace: TraceHeaderList) -> None:
    form = PacketForm(header=header, trace=trace, attachments=(AttachmentForm(part="a"),))
    text = form.model_dump_json()
    assert PacketForm.model_validate_json(text) == form
    VALIDATOR.validate(json.loads(text))
