from typing import Final

from gateway.problems.kinds import ProblemKind, Text

OPERATING: Final = (
    ProblemKind(
        code="pause-reason-missing",
        status=422,
        title=Text("Thiếu lý do tạm dừng", "Reason for the pause missing"),
        what=Text("Tạm dừng phải kèm lý do.", "A pause needs a reason."),
        why=Text("Người trực sau phải biết vì sao.", "The next operator must learn why."),
        change=Text("Ghi `reason`.", "Write `reason`."),
        example="write the reason of the pause",
    ),
)
