"""From the parsed skeleton to a `Packet`, with every rule of the format that needs no other knowledge."""

from collections.abc import Sequence
from typing import Final

from lxml import etree

from shared.edxml.advice import advise_on_attachment, advise_on_business, advise_on_header
from shared.edxml.blocks import MessageHeader, Organisation, StatusReport, TraceHeaderList
from shared.edxml.findings import Findings, local_name
from shared.edxml.layout import BlockReader
from shared.edxml.names import XLINK_HREF, tag
from shared.edxml.packet import Attachment, NamedValue, Packet, PartDigest, Reference
from shared.edxml.scan import Scan
from shared.edxml.skeleton import Skeleton, check_ids, find_signature, parse_skeleton, part_digest

STATUS_CODES: Final = frozenset({"01", "02", "03", "04", "05", "06", "13", "15", "16"})

_SECRECY_NAMES: Final = frozenset({"secrecy", "securitylevel", "domat"})
_MAX_SECRECY_ELEMENTS: Final = 20


def interpret(skeleton_octets: bytes, scan: Scan) -> Packet:
    """
    Read the values of a packet. Attachments are described as they travel, not yet unzipped.

    Raises:
        PacketMalformed: The skeleton does not parse.
        PacketInvalid: Something is missing, doubled or wrong; all of it is named.
        DocumentIdMissing: That is the only thing wrong.
    """
    findings = Findings()
    skeleton = parse_skeleton(skeleton_octets, scan.payloads, findings)
    return _Interpreter(skeleton, scan, findings).run()


def interpret_header(octets: bytes) -> MessageHeader | StatusReport:
    """
    Read the header of a packet that ends with its header.

    Raises:
        PacketMalformed, PacketInvalid, DocumentIdMissing: As for a whole packet.
    """
    findings = Findings()
    skeleton = parse_skeleton(octets, (), findings)
    return _Interpreter(skeleton, Scan((), len(octets), ""), findings).run_header()


class _Interpreter:
    def __init__(self, skeleton: Skeleton, scan: Scan, findings: Findings) -> None:
        self._skeleton = skeleton
        self._scan = scan
        self._findings = findings
        self._blocks = BlockReader(findings, skeleton.lines)
        self._signature = find_signature(skeleton)

    def run(self) -> Packet:
        is_status = self._is_status(self._skeleton.message_header)
        packet = self._status_package() if is_status else self._document_package()
        self._findings.raise_if_any()
        return packet.model_copy(update={"warnings": tuple(self._findings.warnings)})

    def run_header(self) -> MessageHeader | StatusReport:
        is_status = self._is_status(self._skeleton.message_header)
        header = self._status() if is_status else self._header()
        self._findings.raise_if_any()
        return header

    def _is_status(self, header: etree._Element) -> bool:
        # A status package that lost its code is still none of a document.
        if header.find(tag("StatusCode")) is not None:
            return True
        return header.find(tag("Timestamp")) is not None and all(
            header.find(tag(name)) is None for name in ("To", "Code", "Subject")
        )

    def _document_package(self) -> Packet:
        skeleton = self._skeleton
        header = self._header()
        trace = None if skeleton.trace is None else self._blocks.read(TraceHeaderList, skeleton.trace)
        manifest = self._manifest()
        attachments = self._attachments()
        self._match(manifest, attachments)
        business = None if trace is None else trace.business
        advise_on_header(self._blocks, skeleton.message_header)
        if business is not None:
            advise_on_business(self._blocks, skeleton.business, business, header)
        elements = (skeleton.message_header, skeleton.business, skeleton.manifest)
        parts = [part_digest(element) for element in elements if element is not None]
        parts += [(f"cid:{attachment.content_id}", attachment.transfer_sha256) for attachment in attachments]
        return self._packet("document", parts).model_copy(
            update={"header": header, "trace": trace, "manifest": manifest, "attachments": attachments}
        )

    def _status_package(self) -> Packet:
        skeleton = self._skeleton
        for element in (skeleton.manifest, *skeleton.attachments):
            if element is not None:
                self._blocks.error("element-misplaced", element, name=local_name(element))
        status = self._status()
        trace = None if skeleton.trace is None else self._blocks.read(TraceHeaderList, skeleton.trace)
        return self._packet("status", [part_digest(skeleton.message_header)]).model_copy(
            update={"status": status, "trace": trace}
        )

    def _status(self) -> StatusReport:
        element = self._skeleton.message_header
        status = self._blocks.read(StatusReport, element)
        code = status.code.zfill(2)
        if status.code and code not in STATUS_CODES:
            allowed = ", ".join(sorted(STATUS_CODES))
            self._blocks.error("value-invalid", element, "StatusCode", value=status.code, allowed=allowed)
        return status.model_copy(update={"code": code})

    def _packet(self, kind: str, parts: Sequence[tuple[str, str]]) -> Packet:
        signature = self._signature
        if signature.octets is not None or signature.foreign is not None:
            check_ids(self._skeleton, self._findings)
        return Packet(
            kind="status" if kind == "status" else "document",
            packet_size=self._scan.packet_size,
            packet_sha256=self._scan.packet_sha256,
            secrecy_elements=self._secrecy_elements(),
            signature=signature.octets,
            foreign_signature=signature.foreign,
            parts=tuple(PartDigest(uri=uri, sha256=sha256) for uri, sha256 in parts),
        )

    def _header(self) -> MessageHeader:
        element = self._skeleton.message_header
        header = self._blocks.read(MessageHeader, element)
        code = element.find(tag("Code"))
        if code is not None and not (header.code.number or header.code.notation):
            self._blocks.error("element-missing", code, "CodeNumber", name="CodeNumber")
        if not header.document_id:
            self._blocks.error("document-id-missing", element, "DocumentId")
        if not header.addressees:
            self._blocks.error("addressee-missing", element, "To")
        folded: dict[str, Organisation] = {}
        for to, addressee in zip(element.iterchildren(tag("To")), header.addressees, strict=True):
            known = folded.setdefault(addressee.organ_id.upper(), addressee)
            if known is not addressee and addressee.organ_id:
                self._blocks.warn("addressee-repeated", to, value=addressee.organ_id)
        return header.model_copy(update={"addressees": tuple(folded.values())})

    def _manifest(self) -> tuple[Reference, ...]:
        if self._skeleton.manifest is None:
            return ()
        references = []
        seen: set[str] = set()
        for element in self._skeleton.manifest.iterchildren(tag("Reference")):
            read = self._blocks.read(Reference, element)
            content_id = _without_scheme(read.content_id or str(element.get(XLINK_HREF, "")))
            self._check_content_id(element, content_id, seen, "reference-doubled")
            references.append(read.model_copy(update={"content_id": content_id}))
        return tuple(references)

    def _attachments(self) -> tuple[Attachment, ...]:
        attachments = []
        seen: set[str] = set()
        payload_of = {
            element.getparent(): payload
            for element, payload in zip(self._skeleton.payloads, self._scan.payloads, strict=True)
        }
        for element in self._skeleton.attachments:
            encoded = element.findall(tag("ContentTransferEncoded"))
            if len(encoded) != 1:
                code = "element-doubled" if encoded else "element-missing"
                self._blocks.error(code, element, "ContentTransferEncoded", name="ContentTransferEncoded")
                continue
            payload = payload_of[element]
            read = self._blocks.read(
                Attachment,
                element,
                transfer_size=payload.size,
                transfer_sha256=payload.sha256,
                content_size=payload.size,
                content_sha256=payload.sha256,
            )
            content_id = _without_scheme(read.content_id)
            if not read.name:
                self._blocks.error("element-missing", element, "AttachmentName", name="AttachmentName")
            self._check_content_id(element, content_id, seen, "attachment-doubled")
            attachments.append(read.model_copy(update={"content_id": content_id}))
        return tuple(attachments)

    def _check_content_id(self, element: etree._Element, content_id: str, seen: set[str], doubled: str) -> None:
        if not content_id:
            self._blocks.error("element-missing", element, "ContentId", name="ContentId")
        elif content_id in seen:
            self._blocks.error(doubled, element, "ContentId", value=content_id)
        seen.add(content_id)

    def _match(self, manifest: Sequence[Reference], attachments: Sequence[Attachment]) -> None:
        referenced = {reference.content_id: reference for reference in manifest}
        attached = {attachment.content_id for attachment in attachments}
        manifest_element = self._skeleton.manifest
        if manifest_element is not None:
            for element, reference in zip(manifest_element.iterchildren(tag("Reference")), manifest, strict=True):
                if reference.content_id and reference.content_id not in attached:
                    self._blocks.error("attachment-missing", element, value=reference.content_id)
        described = iter(attachments)
        payloads = iter(self._scan.payloads)
        for element in self._skeleton.attachments:
            content_id = _without_scheme(element.findtext(tag("ContentId")) or "")
            if len(attachments) == len(self._skeleton.attachments):
                advise_on_attachment(self._blocks, element, next(described), next(payloads), referenced.get(content_id))
            if not content_id:
                continue
            if content_id not in referenced:
                self._blocks.error("attachment-unreferenced", element, value=content_id)
            elif self._signature.octets is not None and _label(element) != _label_of(referenced[content_id]):
                # The signature covers the manifest's labels and the bytes, not the labels beside the bytes.
                self._blocks.error("attachment-relabelled", element, value=content_id)

    def _secrecy_elements(self) -> tuple[NamedValue, ...]:
        found: list[NamedValue] = []
        for element in self._skeleton.message_header.iter(etree.Element):
            if local_name(element).lower() in _SECRECY_NAMES and len(found) < _MAX_SECRECY_ELEMENTS:
                value = "".join(str(text) for text in element.itertext()).strip()
                if value:
                    found.append(NamedValue(name=local_name(element), value=value[:200]))
        return tuple(found)


def _label(element: etree._Element) -> tuple[str, str]:
    name, content_type = (element.findtext(tag(part)) or "" for part in ("AttachmentName", "ContentType"))
    return name.strip(), content_type.strip()


def _label_of(reference: Reference) -> tuple[str, str]:
    return reference.name, reference.content_type


def _without_scheme(content_id: str) -> str:
    return content_id.strip().removeprefix("cid:").strip()


__all__ = ["STATUS_CODES", "interpret", "interpret_header"]
