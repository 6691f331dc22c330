"""What is wrong with a packet, said in sentences that tell the sender what to change."""

from collections.abc import Mapping
from typing import Final, NoReturn

from lxml import etree

from shared.edxml.errors import DocumentIdMissing, PacketInvalid, PacketMalformed
from shared.errors import FieldError

MAX_FINDINGS: Final = 50
"""Enough to correct a packet in one go, too few to be used as an amplifier."""

_MAX_SHOWN: Final = 80

FINDING_SENTENCES: Final[Mapping[str, str]] = {
    # The packet cannot be read.
    "not-xml": "Gói tin không phải XML đúng cú pháp: {reason}. / Not well-formed XML: {reason}.",
    "encoding-refused": "Gói tin phải mã hóa UTF-8, không phải {found}. / The encoding must be UTF-8, not {found}.",
    "namespace-wrong": "Phần tử gốc phải là edXML trong không gian tên {expected}. / "
    "The root must be edXML in the namespace {expected}.",
    "old-format": "Đây là edXML dạng SOAP cũ (http://www.e-doc.vn/Schema/); hãy gửi gói tin theo QCVN 102:2016. / "
    "This is the older SOAP form of edXML; send a packet of QCVN 102:2016.",
    "doctype-refused": "Không chấp nhận DOCTYPE. / A DOCTYPE is not accepted.",
    "entity-refused": "Không chấp nhận thực thể (entity). / Entities are not accepted.",
    "limit-exceeded": "Vượt giới hạn: {what} (tối đa {limit}). / Limit exceeded: {what} (at most {limit}).",
    "base64-invalid": "Nội dung tệp đính kèm không phải base64 hợp lệ: {reason}. / "
    "The attachment is not valid base64: {reason}.",
    "remark-refused": "Không chấp nhận chú thích hoặc chỉ thị xử lý ở đây. / "
    "No comment or processing instruction may stand here.",
    "markup-refused": "Nội dung tệp đính kèm chỉ được là base64. / Only base64 text may stand here.",
    "zip-refused": "Không mở được tệp nén đính kèm: {reason}. / The attached archive is refused: {reason}.",
    "took-too-long": "Xử lý gói tin quá {seconds} giây nên bị dừng. / Reading the packet took over {seconds} seconds.",
    "reader-crashed": "Gói tin làm hỏng bộ đọc. / The packet crashed its reader.",
    # The packet was read, and something in it is wrong.
    "element-missing": "Thiếu phần tử {name}, hoặc phần tử không có giá trị. / {name} is missing or empty.",
    "element-doubled": "Phần tử {name} chỉ được xuất hiện một lần. / {name} may stand here only once.",
    "element-misplaced": "Phần tử {name} không được đứng ở đây. / {name} may not stand here.",
    "value-expected": "Phần tử {name} phải chứa giá trị, không chứa phần tử con. / "
    "{name} must hold a value, not elements.",
    "text-too-long": "Phần tử {name} quá dài (tối đa {limit} ký tự). / "
    "{name} is too long (at most {limit} characters).",
    "date-invalid": "{value} không phải là ngày; viết yyyy/MM/dd. / {value} is not a date; write yyyy/MM/dd.",
    "timestamp-invalid": "{value} không phải là thời điểm; viết yyyy/MM/dd HH:mm:ss. / "
    "{value} is not a moment; write yyyy/MM/dd HH:mm:ss.",
    "value-invalid": "{value} không phải giá trị cho phép; chấp nhận: {allowed}. / "
    "{value} is not an allowed value; allowed: {allowed}.",
    "number-unreadable": "{value} không phải là số nên bị bỏ qua. / {value} is not a number and is left out.",
    "value-unusual": "{value} không thuộc các giá trị thường dùng ({allowed}); gói tin được giữ nguyên. / "
    "{value} is none of the usual values ({allowed}); the packet stays as it is.",
    "element-absent": "Không có {name}; hệ thống nhận có thể cần. / There is no {name}; receivers may need it.",
    "date-day-first": "{value} viết ngày trước năm; nhiều hệ thống nhận đọc sai, hãy viết yyyy/MM/dd. / "
    "{value} begins with the day; receivers in use misread it, write yyyy/MM/dd.",
    "steering-type-empty": "SteeringType để trống; thư viện nhận thông dụng không đọc được gói tin như vậy. / "
    "SteeringType is empty; a library in use cannot read such a packet. Leave the element out or write 1.",
    "target-missing": "Không nêu văn bản bị thu hồi hoặc cập nhật. / The document recalled or updated is not named.",
    "reason-missing": "Thu hồi không nêu lý do. / The recall gives no reason.",
    "update-extent-missing": "Cập nhật không nêu thay đổi nội dung hay nơi nhận. / "
    "The update does not say whether content or receivers change.",
    "replacement-missing": "Thay thế không nêu văn bản bị thay thế. / The replacement names no document it replaces.",
    "document-id-missing": "Gói tin không có mã định danh văn bản (DocumentId). / The packet has no DocumentId.",
    "addressee-missing": "Gói tin không có nơi nhận (To). / The packet names no addressee (To).",
    "addressee-repeated": "Nơi nhận {value} được ghi nhiều lần, chỉ tính một lần. / "
    "Addressee {value} is named more than once and counts once.",
    "attachment-missing": "Danh mục nêu tệp {value} nhưng không có tệp đính kèm đó. / "
    "The manifest names {value}, but there is no such attachment.",
    "attachment-unreferenced": "Tệp đính kèm {value} không có trong danh mục. / "
    "Attachment {value} is not in the manifest.",
    "attachment-doubled": "Hai tệp đính kèm trùng ContentId {value}. / Two attachments have the ContentId {value}.",
    "reference-doubled": "Danh mục nêu ContentId {value} hai lần. / The manifest names ContentId {value} twice.",
    "attachment-relabelled": "Tên hoặc kiểu của tệp {value} khác với danh mục. / "
    "Name or type of attachment {value} differ from the manifest.",
    "attachment-empty": "Tệp đính kèm {value} không có nội dung. / Attachment {value} is empty.",
    "attachment-spoiled": "Tệp PDF {value} đã hỏng do bị chuyển thành văn bản trước khi mã hóa. / "
    "The PDF {value} was spoiled: its bytes were passed through text before they were encoded.",
    "attachment-name-differs": "Tên tệp {value} khác với danh mục. / "
    "The manifest names attachment {value} differently.",
    "content-type-missing": "Tệp đính kèm {value} không nêu ContentType; thư viện nhận thông dụng không đọc được. / "
    "Attachment {value} has no ContentType; a library in use cannot read it.",
    "content-not-as-named": "Nội dung tệp {value} không phải loại tệp như tên gọi. / "
    "The content of attachment {value} is not of the kind its name says.",
    "id-doubled": "Giá trị Id {value} được dùng hai lần trong gói tin có chữ ký. / "
    "The Id {value} is used twice in a signed packet.",
}


class Findings:
    """
    Collects what is found in one packet.
    """

    def __init__(self) -> None:
        self.errors: list[FieldError] = []
        self.warnings: list[FieldError] = []

    @property
    def is_full(self) -> bool:
        """
        True when further errors would not be reported.
        """
        return len(self.errors) >= MAX_FINDINGS

    @property
    def has_all_warnings(self) -> bool:
        """
        True when further warnings would not be reported.
        """
        return len(self.warnings) >= MAX_FINDINGS

    def add(self, code: str, pointer: str, line: int | None = None, **values: object) -> None:
        """
        Report an error.
        """
        if not self.is_full:
            self.errors.append(finding(code, pointer, line, **values))

    def warn(self, code: str, pointer: str, line: int | None = None, **values: object) -> None:
        """
        Report something the sender should know of, which stops nothing.
        """
        if not self.has_all_warnings:
            self.warnings.append(finding(code, pointer, line, **values))

    def raise_if_any(self) -> None:
        """
        Refuse the packet when there are errors.

        Raises:
            DocumentIdMissing: That is all there is.
            PacketInvalid: Anything else.
        """
        if not self.errors:
            return
        first = self.errors[0].detail
        if all(error.code == "document-id-missing" for error in self.errors):
            raise DocumentIdMissing(first, errors=self.errors)
        raise PacketInvalid(first, errors=self.errors)


def finding(code: str, pointer: str, line: int | None = None, **values: object) -> FieldError:
    """
    Put a finding into words.
    """
    detail = FINDING_SENTENCES[code].format(**{key: _shown(value) for key, value in values.items()})
    return FieldError(pointer=pointer, code=code, detail=detail, line=line)


def refuse(code: str, pointer: str = "", line: int | None = None, **values: object) -> NoReturn:
    """
    Stop reading.

    Raises:
        PacketMalformed: Always, with the one finding.
    """
    one = finding(code, pointer, line, **values)
    raise PacketMalformed(one.detail, errors=[one]) from None


def path_of(element: etree._Element) -> str:
    """
    Give the place of an element by local names, counted from 1 where siblings share a name.
    """
    steps = []
    here: etree._Element | None = element
    while here is not None:
        parent = here.getparent()
        name = local_name(here)
        if parent is not None:
            alike = [sibling for sibling in parent if sibling.tag == here.tag]
            if len(alike) > 1:
                name = f"{name}[{alike.index(here) + 1}]"
        steps.append(name)
        here = parent
    return "/" + "/".join(reversed(steps))


def local_name(element: etree._Element) -> str:
    """
    Give the name of an element without its namespace; empty for a comment or processing instruction.
    """
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _shown(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
