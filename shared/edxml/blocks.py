"""The groups of elements a packet is made of, by the numbering of the standard."""

from datetime import date
from typing import Annotated, Final

from pydantic import AwareDatetime

from shared.edxml.layout import Block, El, Kind

LONGEST_CODE: Final = 100
LONGEST_IDENTIFIER: Final = 500
"""An index entry of the database must hold it."""
LONGEST_TITLE: Final = 2_000
"""Titles stand in every list and are searched for marks of secrecy."""
LONGEST_CONTENT: Final = 1_000_000


class Organisation(Block):
    """
    An agency as the packet names it.

    Attributes:
        organ_id: Mã định danh, in the old or the new form, as written.
        in_charge: Cơ quan chủ quản; a name in some systems, a code in others.
    """

    organ_id: Annotated[str, El("OrganId", required=True, longest=LONGEST_CODE)] = ""
    in_charge: Annotated[str, El("OrganizationInCharge")] = ""
    name: Annotated[str, El("OrganName")] = ""
    address: Annotated[str, El("OrganAdd")] = ""
    email: Annotated[str, El("Email")] = ""
    telephone: Annotated[str, El("Telephone")] = ""
    fax: Annotated[str, El("Fax")] = ""
    website: Annotated[str, El("Website")] = ""


class Code(Block):
    """
    Số and ký hiệu; the number is not always numeric.
    """

    number: Annotated[str, El("CodeNumber")] = ""
    notation: Annotated[str, El("CodeNotation")] = ""

    def __str__(self) -> str:
        return f"{self.number}/{self.notation}"


class Promulgation(Block):
    """
    Where and when the document was promulgated.
    """

    place: Annotated[str, El("Place")] = ""
    on: Annotated[date | None, El("PromulgationDate", Kind.DATE, required=True)] = None


class DocumentType(Block):
    """
    Loại văn bản; systems match by name, since the numbers are used in more than one way.
    """

    type: Annotated[int | None, El("Type", Kind.INTEGER)] = None
    detail: Annotated[int | None, El("TypeDetail", Kind.INTEGER)] = None
    name: Annotated[str, El("TypeName", expected=True, longest=LONGEST_TITLE)] = ""


class Signer(Block):
    """
    Who signed the document on paper.

    Attributes:
        competence: Quyền hạn ký: TM., KT., TL., TUQ., Q.
    """

    competence: Annotated[str, El("Competence")] = ""
    position: Annotated[str, El("Position")] = ""
    full_name: Annotated[str, El("FullName")] = ""


class OtherInfo(Block):
    """
    What else is said about a document.

    Attributes:
        priority: Độ khẩn: 0 thường, 1 khẩn, 2 thượng khẩn, 3 hỏa tốc, 4 hỏa tốc hẹn giờ.
    """

    priority: Annotated[int, El("Priority", Kind.INTEGER, allowed=range(5))] = 0
    sphere: Annotated[str, El("SphereOfPromulgation")] = ""
    typer_notation: Annotated[str, El("TyperNotation")] = ""
    promulgation_amount: Annotated[int | None, El("PromulgationAmount", Kind.INTEGER)] = None
    page_amount: Annotated[int | None, El("PageAmount", Kind.INTEGER)] = None
    appendixes: Annotated[tuple[str, ...], El("Appendixes", Kind.TEXTS, item="Appendix")] = ()
    direction: Annotated[bool | None, El("Direction", Kind.BOOLEAN, lenient=True)] = None
    reply_fors: Annotated[str, El("ReplyFors")] = ""
    reference_codes: Annotated[str, El("ReferenceCodes")] = ""


class ResponseFor(Block):
    """
    The document this one answers.

    Attributes:
        code: `số/ký hiệu`, joined.
        document_id: DocumentId of that document.
    """

    organ_id: Annotated[str, El("OrganId", longest=LONGEST_CODE)] = ""
    code: Annotated[str, El("Code")] = ""
    promulgated_on: Annotated[date | None, El("PromulgationDate", Kind.DATE)] = None
    document_id: Annotated[str, El("DocumentId", longest=LONGEST_IDENTIFIER)] = ""


class MessageHeader(Block):
    """
    The header of a document package.

    Attributes:
        addressees: Every `To`, each agency once.
        subject: Trích yếu.
        to_places: Nơi nhận as printed on the document; says nothing about routing.
        steering_type: 1 or absent not a directive, 2 a directive, 3 a report on one; 0 stands for 1.
        document_id: Mã định danh văn bản; opaque, scoped by its sender.
        response_for_task: Codes of the directive tasks the document belongs to.

    Source:
        QCVN 102:2016/BTTTT, Phụ lục, 1.1 to 1.14.
    """

    sender: Annotated[Organisation, El("From", Kind.BLOCK, block=Organisation, required=True)] = Organisation()
    addressees: Annotated[tuple[Organisation, ...], El("To", Kind.BLOCKS, block=Organisation)] = ()
    code: Annotated[Code, El("Code", Kind.BLOCK, block=Code, required=True)] = Code()
    promulgation: Annotated[Promulgation, El("PromulgationInfo", Kind.BLOCK, block=Promulgation, required=True)] = (
        Promulgation()
    )
    document_type: Annotated[DocumentType, El("DocumentType", Kind.BLOCK, block=DocumentType, expected=True)] = (
        DocumentType()
    )
    subject: Annotated[str, El("Subject", required=True, longest=LONGEST_TITLE)] = ""
    content: Annotated[str, El("Content", longest=LONGEST_CONTENT)] = ""
    signer: Annotated[Signer | None, El("SignerInfo", Kind.BLOCK, block=Signer)] = None
    due_on: Annotated[date | None, El("DueDate", Kind.DATE)] = None
    to_places: Annotated[tuple[str, ...], El("ToPlaces", Kind.TEXTS, item="Place")] = ()
    other: Annotated[OtherInfo, El("OtherInfo", Kind.BLOCK, block=OtherInfo)] = OtherInfo()
    response_for: Annotated[tuple[ResponseFor, ...], El("ResponseFor", Kind.BLOCKS, block=ResponseFor)] = ()
    steering_type: Annotated[int | None, El("SteeringType", Kind.INTEGER, allowed=range(4))] = None
    document_id: Annotated[str, El("DocumentId", longest=LONGEST_IDENTIFIER)] = ""
    response_for_task: Annotated[tuple[str, ...], El("ResponseForTask", Kind.TEXTS, item="TaskCode")] = ()
    application_type: Annotated[str, El("ApplicationType")] = ""

    @property
    def priority(self) -> int:
        """
        Độ khẩn, 0 to 4.
        """
        return self.other.priority


class Staff(Block):
    """
    The person to turn to.
    """

    department: Annotated[str, El("Department")] = ""
    staff: Annotated[str, El("Staff")] = ""
    mobile: Annotated[str, El("Mobile")] = ""
    email: Annotated[str, El("Email")] = ""
    department_id: Annotated[str, El("DepartmentId")] = ""
    staff_id: Annotated[str, El("StaffId")] = ""


class TraceHeader(Block):
    """
    One hop of the packet; the sender writes the first. Relays are known to leave their own code empty.
    """

    organ_id: Annotated[str, El("OrganId", expected=True, longest=LONGEST_CODE)] = ""
    at: Annotated[AwareDatetime | None, El("Timestamp", Kind.MOMENT, expected=True)] = None


class Receiver(Block):
    """
    A change in the list of receivers.

    Attributes:
        receiver_type: 0 removed, 1 added; other numbers are kept as they are.
    """

    organ_id: Annotated[str, El("OrganId", required=True, longest=LONGEST_CODE)] = ""
    receiver_type: Annotated[
        int | None, El("ReceiverType", Kind.INTEGER, allowed=range(2), lenient=True, expected=True)
    ] = None


class BusinessDocumentInfo(Block):
    """
    What an update changes.
    """

    content_changed: Annotated[bool | None, El("DocumentInfo", Kind.FLAG, lenient=True)] = None
    receivers_changed: Annotated[bool | None, El("DocumentReceiver", Kind.FLAG, lenient=True)] = None
    receivers: Annotated[tuple[Receiver, ...], El("ReceiverList", Kind.BLOCKS, item="Receiver", block=Receiver)] = ()


class Replacement(Block):
    """
    A document that is replaced, and the agencies for which it is.
    """

    document_id: Annotated[str, El("DocumentId", required=True, longest=LONGEST_IDENTIFIER)] = ""
    organ_ids: Annotated[tuple[str, ...], El("OrganIdList", Kind.TEXTS, item="OrganId")] = ()


class Business(Block):
    """
    Nghiệp vụ: what the packet is for. In XML it is spelled `Bussiness`.

    Attributes:
        type: 0 new document, 1 recall, 2 update, 3 replacement.
        document_id: DocumentId of the document recalled or updated.
        paper: As written; whether it is a flag or a number of pages differs between systems.
    """

    type: Annotated[int, El("BussinessDocType", Kind.INTEGER, allowed=range(4), required=True)] = 0
    reason: Annotated[str, El("BussinessDocReason")] = ""
    info: Annotated[
        BusinessDocumentInfo | None, El("BussinessDocumentInfo", Kind.BLOCK, block=BusinessDocumentInfo)
    ] = None
    document_id: Annotated[str, El("DocumentId", longest=LONGEST_IDENTIFIER)] = ""
    staff: Annotated[tuple[Staff, ...], El("StaffInfo", Kind.BLOCKS, block=Staff)] = ()
    paper: Annotated[int | None, El("Paper", Kind.INTEGER)] = None
    replacements: Annotated[
        tuple[Replacement, ...], El("ReplacementInfoList", Kind.BLOCKS, item="ReplacementInfo", block=Replacement)
    ] = ()


class TraceHeaderList(Block):
    """
    The way of a packet and what it is for.
    """

    traces: Annotated[tuple[TraceHeader, ...], El("TraceHeader", Kind.BLOCKS, block=TraceHeader)] = ()
    business: Annotated[Business | None, El("Bussiness", Kind.BLOCK, block=Business)] = None


class StatusResponse(ResponseFor):
    """
    The document a status is about.

    Attributes:
        organ_id: To whom the status goes.
        document_id: DocumentId as its sender wrote it.
    """

    organ_id: Annotated[str, El("OrganId", required=True, longest=LONGEST_CODE)] = ""
    document_id: Annotated[str, El("DocumentId", expected=True, longest=LONGEST_IDENTIFIER)] = ""


class StatusReport(Block):
    """
    The header of a status package (gói trạng thái); it is the whole package.

    Attributes:
        sender: The agency that reports.
        response_for: The document, and the agency the status goes to.
        code: Two digits: 01 arrived, 02 returned, 03 registered, 04 assigned, 05 in work, 06 done, 13 asked back,
            15 and 16 agreed and refused.
        reported_at: When, by the reporting system's clock; aware, UTC.
    """

    sender: Annotated[Organisation, El("From", Kind.BLOCK, block=Organisation, required=True)] = Organisation()
    response_for: Annotated[StatusResponse, El("ResponseFor", Kind.BLOCK, block=StatusResponse, required=True)] = (
        StatusResponse()
    )
    staff: Annotated[Staff | None, El("StaffInfo", Kind.BLOCK, block=Staff, always=True)] = None
    code: Annotated[str, El("StatusCode", required=True)] = ""
    description: Annotated[str, El("Description", always=True)] = ""
    reported_at: Annotated[AwareDatetime | None, El("Timestamp", Kind.MOMENT, required=True)] = None
