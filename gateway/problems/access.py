from typing import Final

from gateway.problems.kinds import ProblemKind, Text

ACCESS: Final = (
    ProblemKind(
        code="token-missing",
        status=401,
        title=Text("Thiếu mã truy cập", "Access token missing"),
        what=Text("Yêu cầu không mang mã truy cập.", "The request carries no access token."),
        why=Text(
            "Mọi yêu cầu thay mặt cơ quan phải kèm bằng chứng của hệ thống gọi.",
            "Every request on behalf of an agency must carry the proof of the calling system.",
        ),
        change=Text(
            "Lấy mã tại /oauth2/token rồi gửi trong tiêu đề `Authorization: Bearer …`.",
            "Get a token at /oauth2/token and send it as `Authorization: Bearer …`.",
        ),
        example="an access token is needed",
    ),
    ProblemKind(
        code="token-invalid",
        status=401,
        title=Text("Mã truy cập không hợp lệ", "Access token not valid"),
        what=Text(
            "Mã truy cập sai dạng, hết hạn, của nút khác, hoặc thông tin kết nối đã bị thu hồi.",
            "The access token is malformed, expired, of another node, or its credential is no longer good.",
        ),
        why=Text("Mã truy cập chỉ sống mười phút.", "An access token lives ten minutes."),
        change=Text(
            "Lấy mã mới tại /oauth2/token. Nếu vẫn bị từ chối, hỏi quản trị trục xem hệ thống có bị khóa không.",
            "Get a new one at /oauth2/token. If that is refused too, ask the operator whether the system is disabled.",
        ),
        example="the access token has expired",
    ),
    ProblemKind(
        code="scope-missing",
        status=403,
        title=Text("Mã truy cập không có quyền này", "Access token lacks a scope"),
        what=Text(
            "Mã truy cập hợp lệ nhưng không gồm quyền cần thiết.", "The token is good but lacks the scope needed."
        ),
        why=Text(
            "Mỗi lời gọi cần một quyền (scope): send, inbox, acknowledge, operate, register hoặc approve.",
            "Each call needs one scope: send, inbox, acknowledge, operate, register or approve.",
        ),
        change=Text(
            "Xin mã có quyền nêu trong detail, nếu thông tin kết nối của hệ thống được cấp quyền đó.",
            "Ask for a token with the scope named in detail, if the credential has it.",
        ),
        example="this call needs the scope `send`",
    ),
    ProblemKind(
        code="agency-not-yours",
        status=403,
        title=Text("Hệ thống không đại diện cơ quan này", "Not one of your agencies"),
        what=Text(
            "Hệ thống gọi không được làm việc thay cơ quan đã nêu.",
            "The calling system may not act for the agency named.",
        ),
        why=Text(
            "Quyền đại diện được đăng ký cho từng hệ thống; mã truy cập cũng có thể đã được thu hẹp.",
            "What a system may act for is registered; a token can also have been narrowed.",
        ),
        change=Text(
            "Kiểm tra mã định danh; nếu đúng, đề nghị quản trị bổ sung quyền, hoặc xin mã không thu hẹp.",
            "Check the code; if it is right, ask the registrar for the grant, or ask for a token that is not narrowed.",
        ),
        example="this system does not act for H43.30.01",
    ),
    ProblemKind(
        code="sender-not-yours",
        status=403,
        title=Text("Không được gửi thay cơ quan này", "Not a sender of yours"),
        what=Text(
            "Cơ quan ở phần From của gói tin không thuộc các cơ quan hệ thống được gửi thay.",
            "The agency in From is not one the calling system may send for.",
        ),
        why=Text("Không ai được gửi văn bản thay cơ quan khác.", "Nobody may send in another agency's name."),
        change=Text(
            "Sửa From, hoặc đề nghị quản trị cấp vai trò `sender` cho cơ quan đó.",
            "Correct From, or ask the registrar for the role `sender` for that agency.",
        ),
        example="this system may not send for H43.30.01",
    ),
    ProblemKind(
        code="invalid-request",
        status=400,
        title=Text("Yêu cầu mã truy cập không đúng", "Token request malformed"),
        what=Text(
            "Yêu cầu tại /oauth2/token thiếu tham số, lặp tham số hoặc sai dạng.",
            "The request to /oauth2/token lacks a parameter, repeats one, or is malformed.",
        ),
        why=Text("Theo RFC 6749 mục 5.2.", "As RFC 6749 section 5.2 says."),
        change=Text(
            "Gửi form `grant_type=client_credentials` với Basic, hoặc `client_assertion`.",
            "Send the form `grant_type=client_credentials` with Basic, or with `client_assertion`.",
        ),
        example="`grant_type` is missing",
    ),
    ProblemKind(
        code="invalid-client",
        status=401,
        title=Text("Không xác thực được hệ thống", "Client not authenticated"),
        what=Text(
            "Mã hệ thống, mật khẩu hoặc chữ ký xác nhận không đúng, hoặc hệ thống bị khóa.",
            "System id, secret or assertion is wrong, or the system is disabled.",
        ),
        why=Text(
            "Câu trả lời cố ý không cho biết phần nào sai.",
            "The answer does not say which part is wrong, on purpose.",
        ),
        change=Text(
            "Kiểm tra mã hệ thống và mật khẩu; với private_key_jwt kiểm tra `aud`, `exp`, `jti` và chứng thư.",
            "Check system id and secret; with private_key_jwt check `aud`, `exp`, `jti` and the certificate.",
        ),
        example="the client is not known or did not prove itself",
    ),
    ProblemKind(
        code="invalid-scope",
        status=400,
        title=Text("Xin quyền không được cấp", "Scope not granted"),
        what=Text(
            "Quyền đã xin không thuộc thông tin kết nối này.", "A scope asked for is not one of the credential's."
        ),
        why=Text("Mã truy cập không thể rộng hơn thông tin kết nối.", "A token cannot be wider than its credential."),
        change=Text("Bỏ quyền thừa, hoặc không ghi `scope`.", "Leave the scope out, or ask for none in particular."),
        example="the credential does not have the scope `approve`",
    ),
    ProblemKind(
        code="unsupported-grant-type",
        status=400,
        title=Text("Kiểu cấp mã không hỗ trợ", "Grant type not supported"),
        what=Text("`grant_type` khác client_credentials.", "`grant_type` is not client_credentials."),
        why=Text("Trục chỉ phục vụ hệ thống, không phục vụ trình duyệt.", "The axis serves systems, not browsers."),
        change=Text("Dùng `grant_type=client_credentials`.", "Use `grant_type=client_credentials`."),
        example="use `client_credentials`",
    ),
)
