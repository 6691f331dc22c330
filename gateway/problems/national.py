from typing import Final

from gateway.problems.kinds import ProblemKind, Text

NATIONAL: Final = (
    ProblemKind(
        code="national-axis-refused",
        status=422,
        title=Text("Trục quốc gia từ chối", "Refused by the national axis"),
        what=Text(
            "Trục liên thông quốc gia hiểu yêu cầu của nút này nhưng từ chối; detail nêu mã lỗi và lý do của trục đó.",
            "The national axis understood what this node asked and refused it; detail holds its own code and reason.",
        ),
        why=Text(
            "Mã 15: sai mã hệ thống hoặc khóa bí mật. Mã 18, 23: đơn vị nhận không tồn tại hoặc bị khóa. "
            "Mã 19: đơn vị gửi chưa đăng ký. Mã 10, 22: tệp hoặc edXML không đúng chuẩn.",
            "Code 15: system id or secret is wrong. Codes 18 and 23: the receiving unit does not exist or is locked. "
            "Code 19: the sending unit is not registered. Codes 10 and 22: file or edXML is not valid.",
        ),
        change=Text(
            "Sửa theo lý do đã nêu; với mã 15 và 19, quản trị nút kiểm tra khai báo với trục quốc gia.",
            "Correct what the reason names; with 15 and 19 the operator checks how the node is attached.",
        ),
        example="the national axis refused with code 18: Don vi nhan khong ton tai",
    ),
)
