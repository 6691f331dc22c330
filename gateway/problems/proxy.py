"""
What the reverse proxy in front refuses by itself, in the same form as the gateway behind it.

Nothing here raises these: `deploy/proxy` writes them into the proxy's configuration.
"""

from typing import Final

from gateway.problems.kinds import ProblemKind, Text

PROXY: Final = (
    ProblemKind(
        code="request-malformed",
        status=400,
        title=Text("Yêu cầu sai dạng HTTP", "Malformed request"),
        what=Text(
            "Yêu cầu không phải HTTP đúng chuẩn, hoặc là HTTP thường gửi tới cổng HTTPS.",
            "The request is not correct HTTP, or is plain HTTP on the port for HTTPS.",
        ),
        why=Text("Không đoán được ranh giới của một yêu cầu sai.", "Where a wrong request ends cannot be guessed."),
        change=Text(
            "Kiểm tra thư viện HTTP và địa chỉ; địa chỉ phải bắt đầu bằng https://.",
            "Check the HTTP library and the address, which must begin with https://.",
        ),
        example="this is not a request that can be read",
    ),
    ProblemKind(
        code="client-certificate-refused",
        status=400,
        title=Text("Chứng thư TLS của máy khách không được nhận", "Client certificate refused"),
        what=Text(
            "Chứng thư dùng khi nối TLS đã hết hạn, hoặc không do nơi cấp được tin cậy cấp.",
            "The certificate shown in the TLS handshake has ended or does not come from a trusted authority.",
        ),
        why=Text(
            "Không bắt buộc có chứng thư, nhưng đã đưa ra thì phải đúng.",
            "Showing one is optional, but one that is shown must be good.",
        ),
        change=Text("Dùng chứng thư còn hạn, hoặc nối không kèm chứng thư.", "Use a valid one, or connect without."),
        example="the certificate shown in the TLS handshake is not accepted",
    ),
    ProblemKind(
        code="uri-too-long",
        status=414,
        title=Text("Địa chỉ quá dài", "Address too long"),
        what=Text("Dòng đầu của yêu cầu quá dài.", "The first line of the request is too long."),
        why=Text("Giới hạn giữ bộ nhớ của trục không đổi.", "The limit keeps the memory of the axis constant."),
        change=Text("Rút ngắn phần sau dấu hỏi.", "Shorten what follows the question mark."),
        example="the address of the request is too long",
    ),
    ProblemKind(
        code="gateway-unreachable",
        status=502,
        title=Text("Không nối được với cổng của trục", "Gateway out of reach"),
        what=Text(
            "Máy chủ đứng trước không nhận được câu trả lời từ cổng của trục.",
            "The proxy in front got no answer from any gateway.",
        ),
        why=Text(
            "Cổng đang khởi động lại hoặc vừa dừng giữa chừng. Không có gì đã nhận bị mất.",
            "The gateway is being restarted, or stopped half-way. Nothing that was accepted is lost.",
        ),
        change=Text(
            "Gửi lại y nguyên sau Retry-After: cùng yêu cầu không bao giờ được nhận hai lần.",
            "Send the same again after Retry-After: it is never accepted twice.",
        ),
        example="no gateway answered",
        retry=True,
        retry_after=1,
    ),
    ProblemKind(
        code="gateway-timeout",
        status=504,
        title=Text("Cổng của trục trả lời quá chậm", "Gateway too slow"),
        what=Text("Cổng của trục không trả lời kịp.", "The gateway did not answer in time."),
        why=Text("Yêu cầu có thể đã hoặc chưa được thực hiện.", "The request may or may not have taken effect."),
        change=Text(
            "Gửi lại y nguyên sau Retry-After: cùng yêu cầu không bao giờ được nhận hai lần.",
            "Send the same again after Retry-After: it is never accepted twice.",
        ),
        example="the gateway did not answer in time",
        retry=True,
        retry_after=5,
    ),
)
