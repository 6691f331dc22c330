"""
What is found in packets, place by place: each code with its grade and what to change.

An error keeps a packet out; a warning stands in the receipt and in the journey. The sentences themselves are those the
reader of packets writes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from gateway.problems.kinds import Text
from shared.edxml import FINDING_SENTENCES

Grade = Literal["error", "warning"]


@dataclass(frozen=True)
class FindingKind:
    """
    One kind of finding, as the public page explains it.

    Attributes:
        code: Stable, in kebab case; `code` of an entry in `errors` or `warnings`.
        grade: `error` keeps the packet out, `warning` does not.
        what: What was found; … stands for what differs from case to case.
        change: What to change.
    """

    code: str
    grade: Grade
    what: Text
    change: Text


def _error(code: str, vi: str, en: str, what: Text | None = None) -> FindingKind:
    return FindingKind(code, "error", what or _sentence(code), Text(vi, en))


def _warning(code: str, vi: str, en: str, what: Text | None = None) -> FindingKind:
    return FindingKind(code, "warning", what or _sentence(code), Text(vi, en))


def _sentence(code: str) -> Text:
    vi, _, en = re.sub(r"\{\w+\}", "…", FINDING_SENTENCES[code]).partition(" / ")
    return Text(vi, en)


_WRITE_ANEW: Final = Text(
    "Tạo lại gói tin bằng thư viện XML, ví dụ `axis pack`.",
    "Write the packet anew with an XML library, for example with `axis pack`.",
)
_SEAL_AGAIN: Final = Text("Ký lại gói tin, không sửa gì sau khi ký.", "Seal it again and change nothing afterwards.")
_OTHER_CERTIFICATE: Final = Text(
    "Ký lại bằng chứng thư còn hiệu lực, đã đăng ký với trục.",
    "Seal it again with a valid certificate that is registered with the axis.",
)

_UNREADABLE: Final = (
    _error("not-xml", *_WRITE_ANEW),
    _error("encoding-refused", "Ghi gói tin bằng UTF-8.", "Write the packet in UTF-8."),
    _error(
        "namespace-wrong",
        "Khai báo không gian tên `http://www.mic.gov.vn/TBT/QCVN_102_2016` cho phần tử gốc edXML.",
        "Declare the namespace `http://www.mic.gov.vn/TBT/QCVN_102_2016` on the root edXML.",
    ),
    _error(
        "old-format",
        "Nâng cấp phần mềm để ghi edXML theo QCVN 102:2016 (sửa đổi 1:2022), không có phong bì SOAP.",
        "Upgrade to software that writes edXML of QCVN 102:2016 (amendment 1:2022), without a SOAP envelope.",
    ),
    _error("doctype-refused", "Bỏ khai báo DOCTYPE.", "Leave the DOCTYPE out."),
    _error("entity-refused", "Viết thẳng ký tự thay cho thực thể.", "Write the characters instead of entities."),
    _error(
        "limit-exceeded",
        "Giảm số lượng hoặc kích thước nêu trong `detail`; chia thành nhiều văn bản nếu cần.",
        "Send less of what `detail` names; several documents if need be.",
    ),
    _error("base64-invalid", "Mã hóa lại tệp bằng base64.", "Encode the file as base64 again."),
    _error("markup-refused", "Chỉ ghi base64 trong phần tử này.", "Write nothing but base64 there."),
    _error("remark-refused", "Bỏ chú thích và chỉ thị xử lý.", "Leave comments and processing instructions out."),
    _error(
        "zip-refused",
        "Đóng gói đúng một tệp, không mật khẩu, không đường dẫn; hoặc gửi tệp không nén.",
        "Zip exactly one file, without password and path; or attach the file as it is.",
    ),
    _error("took-too-long", "Bớt phần tử và tệp đính kèm.", "Send fewer elements and attachments."),
    _error("reader-crashed", *_WRITE_ANEW),
)

_WRONG: Final = (
    _error("element-missing", "Thêm phần tử nêu ở `pointer`.", "Add the element that `pointer` names."),
    _error("element-doubled", "Giữ lại một phần tử.", "Keep one of them."),
    _error("element-misplaced", "Đặt phần tử đúng chỗ theo quy chuẩn.", "Put it where the standard says."),
    _error("value-expected", "Ghi giá trị, không ghi phần tử con.", "Write a value instead of elements."),
    _error("text-too-long", "Rút ngắn nội dung.", "Shorten it."),
    _error("date-invalid", "Viết ngày dạng `2024/12/30`.", "Write the date as `2024/12/30`."),
    _error("timestamp-invalid", "Viết `2024/12/30 08:30:00`.", "Write `2024/12/30 08:30:00`."),
    _error("value-invalid", "Chọn một giá trị nêu trong `detail`.", "Use one of the values in `detail`."),
    _error(
        "document-id-missing",
        "Ghi DocumentId: `<mã cơ quan>,<yyyy/MM/dd>,<số>/<ký hiệu>`.",
        "Write a DocumentId: `<OrganId>,<yyyy/MM/dd>,<number>/<notation>`.",
    ),
    _error("addressee-missing", "Thêm ít nhất một To.", "Add at least one To."),
    _error("attachment-missing", "Đính kèm tệp, hoặc bỏ dòng danh mục.", "Attach the file or drop the reference."),
    _error("attachment-unreferenced", "Thêm Reference cùng ContentId.", "Add a Reference with its ContentId."),
    _error("attachment-doubled", "Mỗi tệp một ContentId.", "Give every attachment a ContentId of its own."),
    _error("reference-doubled", "Mỗi Reference một ContentId.", "Give every reference a ContentId of its own."),
    _error(
        "attachment-relabelled",
        "Ghi tên và kiểu tệp như trong danh mục đã ký.",
        "Write name and type as in the manifest that was signed.",
    ),
    _error("id-doubled", "Mỗi phần tử một Id.", "Give every element an Id of its own."),
    _error(
        "status-package",
        "Báo trạng thái bằng `POST /v1/inbox/{delivery_id}/statuses`.",
        "Report the status by `POST /v1/inbox/{delivery_id}/statuses`.",
        Text("Đây là gói trạng thái, không phải văn bản.", "This is a status package, not a document."),
    ),
    _error(
        "document-package",
        "Gửi văn bản như văn bản; với VXP là `messagetype` `edoc`.",
        "Send a document as a document; over VXP its `messagetype` is `edoc`.",
        Text("Đây là gói văn bản, không phải gói trạng thái.", "This is a document package, not a status."),
    ),
    _error(
        "status-document-unknown",
        "Ghi ResponseFor như văn bản đã nhận: OrganId của nơi gửi, DocumentId, Code.",
        "Let ResponseFor say what the document says: its sender's OrganId, its DocumentId, its Code.",
        Text(
            "Không có văn bản nào như ResponseFor giữa hai cơ quan này.",
            "No document such as ResponseFor names has passed between these two agencies.",
        ),
    ),
    _error(
        "sender-differs",
        "Ghi cùng một mã cơ quan ở yêu cầu và ở From của gói tin.",
        "Name the same agency in the request and in the packet's From.",
        Text("Nơi gửi nêu trong yêu cầu khác với From.", "The request names another sender than From."),
    ),
    _error(
        "addressee-unknown",
        "Tra cứu mã tại `/v1/agencies`.",
        "Look the code up at `/v1/agencies`.",
        Text("Nơi nhận không có trong danh bạ.", "The addressee is not in the register."),
    ),
    _error(
        "addressee-closed",
        "Gửi cho cơ quan kế thừa nêu tại `/v1/agencies/{code}`.",
        "Send to the successor that `/v1/agencies/{code}` names.",
        Text(
            "Nơi nhận đã ngừng hoặc chưa hoạt động.",
            "The addressee is closed or not open yet.",
        ),
    ),
    _error(
        "addressee-not-served",
        "Gửi theo đường khác cho đến khi nút đó được liên kết.",
        "Send it another way until that node is linked.",
        Text("Nơi nhận do nút chưa liên kết phục vụ.", "The addressee is served by a node without a link."),
    ),
    _error(
        "addressee-not-in-packet",
        "Chỉ nêu nơi nhận có trong gói tin.",
        "Name only addressees of the packet.",
        Text("Nơi nhận yêu cầu không có trong gói tin.", "The packet does not name the addressee asked for."),
    ),
)

_SIGNATURE: Final = (
    _error(
        "hash-failure",
        *_SEAL_AGAIN,
        Text("Một phần gói tin đã bị sửa sau khi ký.", "A part of the packet was changed after sealing."),
    ),
    _error(
        "sig-crypto-failure",
        *_SEAL_AGAIN,
        Text("Giá trị chữ ký không khớp với khóa.", "The signature value does not fit the key."),
    ),
    _error(
        "sig-constraints-failure",
        *_SEAL_AGAIN,
        Text("Chữ ký không phủ đúng các phần của gói tin.", "The signature does not cover the parts it must."),
    ),
    _error(
        "signed-data-not-found",
        *_SEAL_AGAIN,
        Text("Chữ ký nêu phần không có trong gói tin.", "The signature names a part that is not there."),
    ),
    _error(
        "format-failure",
        *_SEAL_AGAIN,
        Text("Chữ ký không theo hồ sơ axis-1.", "The signature is not of profile axis-1."),
    ),
    _error(
        "crypto-constraints-failure",
        *_OTHER_CERTIFICATE,
        Text("Thuật toán hoặc khóa quá yếu.", "An algorithm or key is too weak."),
    ),
    _error(
        "no-signing-certificate-found",
        *_OTHER_CERTIFICATE,
        Text("Chữ ký không kèm chứng thư đọc được.", "The signature names no certificate that can be read."),
    ),
    _error(
        "no-certificate-chain-found",
        *_OTHER_CERTIFICATE,
        Text("Chứng thư không thuộc gốc tin cậy.", "The certificate leads to no trust anchor."),
    ),
    _error(
        "revoked-no-poe",
        *_OTHER_CERTIFICATE,
        Text("Chứng thư đã bị thu hồi.", "The certificate was revoked."),
    ),
    _error(
        "out-of-bounds-no-poe",
        *_OTHER_CERTIFICATE,
        Text("Chứng thư hết hạn hoặc chưa hiệu lực.", "The certificate is expired or not valid yet."),
    ),
    _error(
        "chain-constraints-failure",
        *_OTHER_CERTIFICATE,
        Text("Chứng thư không được dùng để ký.", "The certificate may not be used for sealing."),
    ),
    _error(
        "try-later",
        "Gửi lại sau.",
        "Send it again later.",
        Text("Chưa biết chứng thư có bị thu hồi không.", "Whether the certificate is revoked is not known now."),
    ),
)

_WORTH_KNOWING: Final = (
    _warning("number-unreadable", "Ghi số, hoặc bỏ phần tử.", "Write a number, or leave the element out."),
    _warning("value-unusual", "Dùng giá trị nêu trong `detail`.", "Use one of the values in `detail`."),
    _warning("element-absent", "Thêm phần tử nêu ở `pointer`.", "Add the element that `pointer` names."),
    _warning("date-day-first", "Viết `2024/12/30`.", "Write `2024/12/30`."),
    _warning("steering-type-empty", "Ghi 1, 2, 3 hoặc bỏ phần tử.", "Write 1, 2 or 3, or leave the element out."),
    _warning(
        "target-missing",
        "Ghi DocumentId của văn bản đó vào Bussiness hoặc ResponseFor.",
        "Write its DocumentId into Bussiness or ResponseFor.",
    ),
    _warning("reason-missing", "Ghi BussinessDocReason.", "Write BussinessDocReason."),
    _warning("update-extent-missing", "Thêm BussinessDocumentInfo.", "Add BussinessDocumentInfo."),
    _warning("replacement-missing", "Thêm ReplacementInfoList.", "Add ReplacementInfoList."),
    _warning("addressee-repeated", "Ghi mỗi nơi nhận một lần.", "Name every addressee once."),
    _warning("attachment-empty", "Kiểm tra tệp trước khi gửi.", "Look at the file before sending."),
    _warning(
        "attachment-spoiled",
        "Đọc và gửi tệp dưới dạng byte, không qua chuỗi ký tự; gửi lại bằng DocumentId mới.",
        "Read and send the file as bytes, never as a string; send it again under a fresh DocumentId.",
    ),
    _warning("attachment-name-differs", "Ghi cùng một tên tệp.", "Write the same name in both places."),
    _warning("content-type-missing", "Ghi ContentType.", "Write a ContentType."),
    _warning("content-not-as-named", "Kiểm tra tệp và phần mở rộng.", "Look at the file and its extension."),
    _warning(
        "priority-mismatch",
        "Ghi Axis-Priority như Priority trong gói tin.",
        "Let Axis-Priority say what Priority in the packet says.",
        Text("Axis-Priority khác độ khẩn trong gói tin.", "Axis-Priority differs from the urgency in the packet."),
    ),
)

FINDINGS: Final[Mapping[str, FindingKind]] = {
    kind.code: kind for kind in (*_UNREADABLE, *_WRONG, *_SIGNATURE, *_WORTH_KNOWING)
}

__all__ = ["FINDINGS", "FindingKind", "Grade"]
