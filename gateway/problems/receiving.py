from typing import Final

from gateway.problems.kinds import ProblemKind, Text

RECEIVING: Final = (
    ProblemKind(
        code="acknowledgement-conflict",
        status=409,
        title=Text("Đã xác nhận với kết quả khác", "Acknowledged otherwise before"),
        what=Text("Lượt chuyển này đã được xác nhận với kết quả khác.", "This delivery has another acknowledgement."),
        why=Text("Mỗi lượt chỉ có một xác nhận.", "Each series has one acknowledgement."),
        change=Text("Không cần gửi lại; nếu nhầm, báo bằng trạng thái.", "Send none again; report a status instead."),
        example="this delivery was acknowledged `done`",
    ),
    ProblemKind(
        code="not-fetched",
        status=409,
        title=Text("Chưa lấy văn bản", "Not fetched"),
        what=Text("Xác nhận `done` trước khi lấy gói tin.", "`done` came before packet or file was fetched."),
        why=Text("Không thể xác nhận điều chưa nhận.", "What was not taken cannot be acknowledged."),
        change=Text("Lấy gói tin hoặc tệp trước.", "Fetch the packet or a file first."),
        example="fetch the packet before acknowledging it",
    ),
    ProblemKind(
        code="illegal-step",
        status=409,
        title=Text("Bước không hợp lệ", "Step not possible"),
        what=Text(
            "Trạng thái hiện tại không cho phép bước này.",
            "The present state does not allow this step.",
        ),
        why=Text("Chuỗi trạng thái là cố định.", "What follows what is fixed."),
        change=Text(
            "Xem trạng thái hiện tại rồi chọn bước phù hợp.", "Look at the present state and choose another step."
        ),
        example="a delivered document cannot be cancelled",
    ),
)
