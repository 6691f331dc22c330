from typing import Final

from gateway.problems.kinds import ProblemKind, Text

VXP: Final = (
    ProblemKind(
        code="vxp-request-invalid",
        status=422,
        title=Text("Lời gọi VXP không hợp lệ", "VXP call not valid"),
        what=Text(
            "Thiếu tham số hoặc tham số có giá trị không dùng được.",
            "A parameter is missing, or has a value that nothing can be done with.",
        ),
        why=Text(
            "Trục chỉ đọc tham số trong XroadVnpt-sign-header đã ký.",
            "The axis reads parameters from the signed XroadVnpt-sign-header only.",
        ),
        change=Text("Sửa tham số nêu trong ErrorDesc rồi gọi lại.", "Correct what ErrorDesc names and call again."),
        example="The parameter docId is missing.",
    ),
    ProblemKind(
        code="vxp-hash-mismatch",
        status=422,
        title=Text("Nội dung không khớp hash-file", "Content does not fit hash-file"),
        what=Text(
            "SHA-256 của gói tin nhận được khác giá trị hash-file đã ký; không giữ lại phần nào.",
            "The SHA-256 of what came is not the signed hash-file; nothing of it was kept.",
        ),
        why=Text(
            "hash-file là thứ duy nhất bảo vệ nội dung gói tin.",
            "hash-file is all that protects the content of the package.",
        ),
        change=Text(
            "Tính SHA-256 trên đúng các byte của tệp, rồi gửi chính các byte đó.",
            "Hash the very bytes of the file, then send those bytes.",
        ),
        example="What came does not have the SHA-256 in hash-file.",
    ),
    ProblemKind(
        code="vxp-header-mismatch",
        status=401,
        title=Text("Header khác giá trị đã ký", "Header not as signed"),
        what=Text(
            "Một header XroadVnpt-… khác với bản sao đã ký của nó.",
            "A header XroadVnpt-… differs from its signed copy.",
        ),
        why=Text("Có thể đã bị sửa trên đường truyền.", "It may have been changed on the way."),
        change=Text(
            "Kiểm tra proxy giữa hệ thống và trục; proxy không được sửa header XroadVnpt-….",
            "Look at the proxies on the way: none may change headers XroadVnpt-….",
        ),
        example="The header xroadvnpt-from is not what was signed.",
    ),
    ProblemKind(
        code="vxp-header-not-ascii",
        status=401,
        title=Text("Tham số có chữ ngoài ASCII", "Parameter with letters beyond ASCII"),
        what=Text(
            "Máy khách chỉ gửi nửa dưới của mỗi chữ có dấu nên chữ ký của chính nó không khớp.",
            "The client sends only half of each letter beyond ASCII, so its own signature does not fit.",
        ),
        why=Text("Không thể kiểm tra chữ ký trên chữ đã mất.", "A signature over lost letters cannot be checked."),
        change=Text(
            "Bỏ dấu trong tham số, thường là `description` của updateStatus.",
            "Leave accents out of parameters; most often it is `description` of updateStatus.",
        ),
        example="A parameter has letters beyond ASCII, which this client garbles.",
    ),
)
