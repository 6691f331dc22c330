"""
The second pass: the packet without the text of its attachments, parsed once.

Every value and every digest that a signature covers comes from this one tree, so a packet cannot show one thing to the
reader and another to the verifier.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from lxml import etree

from shared.edxml.findings import Findings, local_name, path_of, refuse
from shared.edxml.layout import LineMap
from shared.edxml.names import MAX_SIGNATURE_BYTES, XMLDSIG, tag
from shared.edxml.scan import Payload

UTF8_BOM: Final = b"\xef\xbb\xbf"

_OPEN_TO_REMARKS: Final = frozenset(
    tag(name) for name in ("edXML", "edXMLEnvelope", "edXMLHeader", "edXMLBody", "AttachmentEncoded")
)
"""Where a comment or processing instruction cannot split a value or hide in a signed part."""

_SINGLE: Final = frozenset(
    {
        "edXML",
        "edXMLEnvelope",
        "edXMLHeader",
        "edXMLBody",
        "edXMLManifest",
        "MessageHeader",
        "TraceHeaderList",
        "Bussiness",
        "Business",
        "AttachmentEncoded",
    }
)
"""Elements with one legal place, recognised in any namespace: a second one is a wrapping attack or a mistake."""

_SIGNATURES: Final = frozenset({"Signature", "DigitalSignature"})


@dataclass(frozen=True)
class Skeleton:
    """
    The parsed packet with its fixed points.

    Attributes:
        lines: Lines of the packet as sent.
        header: edXMLHeader, the parent of everything but attachments and manifest.
        message_header: MessageHeader.
        trace: TraceHeaderList.
        business: Bussiness, in either spelling.
        manifest: edXMLManifest.
        attachments: Attachment elements in order.
        payloads: ContentTransferEncoded elements in order; their text was cut out.
    """

    root: etree._Element
    lines: LineMap
    header: etree._Element
    message_header: etree._Element
    trace: etree._Element | None
    business: etree._Element | None
    manifest: etree._Element | None
    attachments: tuple[etree._Element, ...]
    payloads: tuple[etree._Element, ...]


@dataclass(frozen=True)
class SignatureElement:
    """
    The signature of a packet by its place; whether it holds is not judged here.

    Attributes:
        octets: Exclusive canonical form; None when there is none to take.
        foreign: Why one that was found is not taken.
    """

    octets: bytes | None = None
    foreign: str | None = None


def read_skeleton(packet: BinaryIO, payloads: Sequence[Payload]) -> bytes:
    """
    Copy everything but the text of attachments.
    """
    pieces = []
    position = 0
    for payload in payloads:
        packet.seek(position)
        pieces.append(packet.read(payload.start - position))
        position = payload.end
    packet.seek(position)
    pieces.append(packet.read())
    return b"".join(pieces).removeprefix(UTF8_BOM)


def parse_skeleton(octets: bytes, payloads: Sequence[Payload], findings: Findings) -> Skeleton:
    """
    Parse a skeleton and find its fixed points, each exactly at its one place.

    Raises:
        PacketMalformed: It does not parse.
        PacketInvalid: A fixed point is missing, doubled or elsewhere, so nothing more can be said.
    """
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False
    )
    try:
        root = etree.fromstring(octets, parser)
    except etree.XMLSyntaxError as error:
        refuse("not-xml", "/", reason=error.msg)
    return _Points(root, payloads, findings).find()


class _Points:
    def __init__(self, root: etree._Element, payloads: Sequence[Payload], findings: Findings) -> None:
        self._root = root
        self._findings = findings
        self._payloads = payloads
        self._legal: set[etree._Element] = {root}
        elements = root.findall(f"{tag('AttachmentEncoded')}/{tag('Attachment')}/{tag('ContentTransferEncoded')}")
        if root.tag != tag("edXML") or len(elements) != len(payloads) or any(element.text for element in elements):
            # Two parsers that read the same bytes differently: whatever the cause, neither is to be believed.
            refuse("not-xml", "/", reason="ambiguous")
        self._elements = tuple(elements)
        self._lines = LineMap(
            [(element.sourceline or 0, payload.breaks) for element, payload in zip(elements, payloads, strict=True)]
        )

    def find(self) -> Skeleton:
        envelope = self._need(self._root, "edXMLEnvelope")
        header = self._need(envelope, "edXMLHeader")
        message_header = self._need(header, "MessageHeader")
        trace = self._only(header, "TraceHeaderList")
        business = None if trace is None else self._only(trace, "Bussiness", "Business")
        body = self._only(envelope, "edXMLBody")
        manifest = None if body is None else self._only(body, "edXMLManifest")
        encoded = self._only(self._root, "AttachmentEncoded")
        self._check_strays()
        self._findings.raise_if_any()
        return Skeleton(
            root=self._root,
            lines=self._lines,
            header=header,
            message_header=message_header,
            trace=trace,
            business=business,
            manifest=manifest,
            attachments=tuple(() if encoded is None else encoded.iterchildren(tag("Attachment"))),
            payloads=self._elements,
        )

    def _need(self, parent: etree._Element, name: str) -> etree._Element:
        found = self._only(parent, name)
        if found is None:
            self._error("element-missing", parent, name, child=name)
            self._findings.raise_if_any()
            raise AssertionError("an error was just noted")
        return found

    def _only(self, parent: etree._Element, *names: str) -> etree._Element | None:
        tags = {tag(name) for name in names}
        found = [child for child in parent if child.tag in tags]
        self._legal.update(found)
        for extra in found[1:]:
            self._error("element-doubled", extra, names[0])
        return found[0] if found else None

    def _check_strays(self) -> None:
        top = {tag("edXMLEnvelope"), tag("AttachmentEncoded")}
        for element in self._root.iter():
            parent = element.getparent()
            if not isinstance(element.tag, str):
                if parent is not None and parent.tag not in _OPEN_TO_REMARKS:
                    self._error("remark-refused", parent, "")
                continue
            name = local_name(element)
            stray = name in _SINGLE and element not in self._legal
            if stray or (parent is self._root and element.tag not in top):
                self._error("element-misplaced", element, name)

    def _error(self, code: str, at: etree._Element, name: str, child: str = "") -> None:
        if not self._findings.is_full:
            pointer = path_of(at) + (f"/{child}" if child else "")
            self._findings.add(code, pointer, self._lines.line_of(at), name=name)


def find_signature(skeleton: Skeleton) -> SignatureElement:
    """
    Find the packet's signature: `ds:Signature`, alone, the last child of the header.
    """
    found = [element for element in skeleton.root.iter(etree.Element) if local_name(element) in _SIGNATURES]
    # One dialect writes an empty element where a signature could stand; it claims nothing.
    found = [element for element in found if len(element) or (element.text or "").strip()]
    if not found:
        return SignatureElement()
    if len(found) > 1:
        return SignatureElement(foreign="several")
    (element,) = found
    if element.tag != f"{{{XMLDSIG}}}Signature":
        return SignatureElement(foreign="namespace")
    if element.getparent() is not skeleton.header:
        return SignatureElement(foreign="elsewhere")
    if list(skeleton.header.iterchildren(etree.Element))[-1] is not element:
        return SignatureElement(foreign="not-last")
    octets = canonical(element)
    if len(octets) > MAX_SIGNATURE_BYTES:
        return SignatureElement(foreign="too-large")
    return SignatureElement(octets=octets)


def check_ids(skeleton: Skeleton, findings: Findings) -> None:
    """
    Note every Id, in any spelling and namespace, that two elements share: a reference to it would be ambiguous.
    """
    seen: set[str] = set()
    for element in skeleton.root.iter(etree.Element):
        for name, value in element.attrib.items():
            if str(name).rpartition("}")[2].lower() != "id":
                continue
            if value in seen and not findings.is_full:
                findings.add("id-doubled", path_of(element), skeleton.lines.line_of(element), value=value)
            seen.add(str(value))


def part_digest(element: etree._Element) -> tuple[str, str]:
    """
    Give the URI a signature names an element by, and the SHA-256 of its exclusive canonical form.
    """
    identifier = element.get("Id")
    return f"#{identifier}" if identifier else "", hashlib.sha256(canonical(element)).hexdigest()


def canonical(element: etree._Element) -> bytes:
    """
    Give the exclusive canonical form of an element, without comments.

    Source:
        Exclusive XML Canonicalization Version 1.0, W3C Recommendation 18 July 2002.
    """
    try:
        return etree.tostring(element, method="c14n", exclusive=True, with_comments=False)
    except etree.C14NError:
        # A namespace name that is no absolute URI has no canonical form (Canonical XML 1.0, section 1.3).
        refuse("not-xml", path_of(element), reason="relative namespace URI")
