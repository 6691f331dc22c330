from typing import Final

from gateway.problems.kinds import ProblemKind, Text

REGISTRY: Final = (
    ProblemKind(
        code="already-handed-over",
        status=410,
        title=Text("Thông tin kết nối đã bàn giao", "Already handed over"),
        what=Text("Thông tin kết nối đã được dùng lần đầu.", "The credential has got its first access token."),
        why=Text("Sau đó mật khẩu không hiển thị lại.", "From then on the secret is not shown again."),
        change=Text("Nếu đã mất, đề nghị quản trị đổi mới.", "If it is lost, ask the registrar to rotate it."),
        example="the credential is in use",
    ),
    ProblemKind(
        code="registration-decided",
        status=409,
        title=Text("Đăng ký đã có quyết định", "Registration decided"),
        what=Text("Đăng ký này đã được quyết định khác.", "The registration was decided otherwise before."),
        why=Text("Quyết định không đảo lại được.", "A decision is not turned round."),
        change=Text("Đề nghị bên tích hợp đăng ký lại.", "Ask the integrator to register again."),
        example="the registration was refused before",
    ),
    ProblemKind(
        code="registration-not-approved",
        status=409,
        title=Text("Đăng ký chưa được duyệt", "Registration not approved"),
        what=Text(
            "Chưa thể bàn giao: đăng ký đang chờ duyệt hoặc đã bị từ chối.",
            "Nothing can be handed over: the registration waits, or was refused.",
        ),
        why=Text("Cán bộ đăng ký phải duyệt trước.", "A registrar has to approve first."),
        change=Text("Xem GET /v1/registrations/{id} để biết bước tiếp theo.", "See GET /v1/registrations/{id}."),
        example="the registration waits for a registrar",
        retry=True,
    ),
    ProblemKind(
        code="reason-missing",
        status=422,
        title=Text("Thiếu lý do", "Reason missing"),
        what=Text("Từ chối đăng ký phải kèm lý do.", "A registration is refused only with a reason."),
        why=Text("Bên tích hợp phải biết cần sửa gì.", "The integrator must learn what to change."),
        change=Text("Ghi `reason`.", "Write `reason`."),
        example="write the reason of the refusal",
    ),
    ProblemKind(
        code="agencies-refused",
        status=422,
        title=Text("Cơ quan không hợp lệ", "Agencies refused"),
        what=Text("Có cơ quan không có trong danh bạ hoặc đã giải thể.", "Agencies named are unknown or closed."),
        why=Text("`errors` nêu từng mã và lý do.", "`errors` names each code and its reason."),
        change=Text("Sửa các mã; tra cứu tại /v1/agencies.", "Correct the codes; look them up at /v1/agencies."),
        example="1 agency is not valid",
    ),
    ProblemKind(
        code="system-invalid",
        status=422,
        title=Text("Không mở được hệ thống như yêu cầu", "System not valid"),
        what=Text("Yêu cầu mở hệ thống có điểm không hợp lệ.", "The system cannot be opened as asked for."),
        why=Text("Lý do nằm trong detail.", "The reason is in detail."),
        change=Text("Sửa theo detail.", "Change what detail says."),
        example="a system that acts for no agency needs no role",
    ),
    ProblemKind(
        code="certificate-request-invalid",
        status=422,
        title=Text("Yêu cầu cấp chứng thư không đúng", "Certificate request not valid"),
        what=Text("CSR không đọc được hoặc khóa không đạt.", "The CSR cannot be read, or its key is not good enough."),
        why=Text("Nhận RSA từ 2048 bit hoặc ECDSA P-256.", "RSA from 2048 bits or ECDSA P-256 is taken."),
        change=Text("Tạo lại CSR (PKCS#10, PEM).", "Make the CSR (PKCS#10, PEM) again."),
        example="the request is not signed with its own key",
    ),
    ProblemKind(
        code="system-id-taken",
        status=409,
        title=Text("Mã hệ thống đã dùng", "System id taken"),
        what=Text("Đã có hệ thống mang mã này.", "There is a system of this id."),
        why=Text("Mã hệ thống là duy nhất.", "System ids are unique."),
        change=Text("Chọn mã khác.", "Choose another id."),
        example="another system has this identifier",
    ),
    ProblemKind(
        code="certificate-unknown",
        status=404,
        title=Text("Không có chứng thư này", "Certificate unknown"),
        what=Text("Trục không cấp hoặc không biết chứng thư này.", "No certificate of this digest is known here."),
        why=Text("Chỉ chứng thư do trục cấp mới thu hồi được tại đây.", "Only certificates issued here end here."),
        change=Text("Kiểm tra SHA-256 của chứng thư (dạng DER).", "Check the SHA-256 of the DER form."),
        example="no certificate of this digest was issued here",
    ),
    ProblemKind(
        code="import-refused",
        status=422,
        title=Text("Không nhập được bảng cơ quan", "Import refused"),
        what=Text(
            "Tệp quá lớn, hoặc yêu cầu không nêu tệp hay nút phục vụ.",
            "The file is too large, or the request names no file or serving node.",
        ),
        why=Text(
            "Lỗi của từng dòng không phải từ chối: báo cáo nhập liệt kê chúng.",
            "Errors of single lines are not refusals: the report of the import lists them.",
        ),
        change=Text("Sửa theo detail rồi nhập lại.", "Change what detail says and import again."),
        example="the file is too large",
    ),
    ProblemKind(
        code="webhook-not-active",
        status=409,
        title=Text("Webhook chưa hoạt động", "Webhook not active"),
        what=Text(
            "Địa chỉ chưa trả lời bắt tay, hoặc đã bị tắt.",
            "The endpoint has not answered the handshake yet, or was switched off.",
        ),
        why=Text("`state` và `reason` của webhook nói rõ.", "The webhook's `state` and `reason` say which."),
        change=Text(
            "Khi địa chỉ hoạt động, xóa webhook rồi thêm lại.",
            "Once the endpoint works, remove the webhook and add it again.",
        ),
        example="the endpoint was switched off",
    ),
    ProblemKind(
        code="webhook-invalid",
        status=422,
        title=Text("Không nhận địa chỉ webhook", "Webhook not valid"),
        what=Text("Địa chỉ nhận thông báo không được phép.", "The address for notifications is not allowed."),
        why=Text(
            "Chỉ gọi ra các địa chỉ trong danh sách cho phép, không chuyển hướng.",
            "Only addresses on the allow-list are called, without redirects.",
        ),
        change=Text(
            "Dùng địa chỉ cho phép, hoặc đề nghị bổ sung.", "Use an allowed address, or ask for it to be added."
        ),
        example="the host is not on the allow-list",
    ),
    ProblemKind(
        code="vxp-signature",
        status=401,
        title=Text("Chữ ký tiêu đề không đúng", "Header signature refused"),
        what=Text(
            "Chữ ký HMAC của tiêu đề không khớp với mật khẩu nào đang dùng của hệ thống.",
            "The HMAC of the signed header fits no secret of the system that is in use.",
        ),
        why=Text(
            "Sai mã hệ thống hay mật khẩu, mật khẩu đã hết hạn, hệ thống bị khóa, hoặc tham số có chữ ngoài ASCII.",
            "Wrong system or secret, an ended secret, a disabled system, or a parameter with letters beyond ASCII.",
        ),
        change=Text(
            "Kiểm tra mã hệ thống và mật khẩu; bỏ chữ có dấu khỏi tham số.",
            "Check system identifier and secret; keep parameters to ASCII.",
        ),
        example="no secret of such a system fits the signature",
    ),
    ProblemKind(
        code="vxp-source",
        status=403,
        title=Text("Địa chỉ gọi đến không được phép", "Source address refused"),
        what=Text(
            "Hệ thống chỉ được gọi từ các dải địa chỉ đã đăng ký.",
            "The system may call only from networks that were registered for it.",
        ),
        why=Text(
            "Tiêu đề đã ký có thể bị gửi lại; dải địa chỉ ngăn điều đó.",
            "A signed header could be replayed; source ranges prevent it.",
        ),
        change=Text(
            "Gọi từ địa chỉ đã đăng ký, hoặc đề nghị quản trị nút bổ sung.",
            "Call from a registered address, or ask the operator to add this one.",
        ),
        example="the system may not call from this address",
    ),
    ProblemKind(
        code="unit-invalid",
        status=422,
        title=Text("Không đăng ký hoặc hủy được đơn vị", "Unit not valid"),
        what=Text("Đơn vị không thể đăng ký hoặc hủy như vậy.", "The unit cannot be registered or cancelled so."),
        why=Text(
            "Mã, tên, thư điện tử hoặc đơn vị cấp trên không dùng được, hoặc còn đơn vị trực thuộc.",
            "Its code, name, mail address or parent cannot be used, or units below it are open.",
        ),
        change=Text("Sửa theo detail.", "Change what detail says."),
        example="a unit needs a name of 1 to 300 printable characters",
    ),
)
