from typing import Final

from gateway.problems.kinds import ProblemKind, Text

SENDING: Final = (
    ProblemKind(
        code="body-incomplete",
        status=400,
        title=Text("Nội dung bị cắt", "Body incomplete"),
        what=Text(
            "Nội dung kết thúc hoặc ngừng đến trước độ dài đã báo.",
            "The body ended, or stopped coming, before its announced length.",
        ),
        why=Text("Gói tin dở dang không được giữ lại.", "Nothing of a half packet is kept."),
        change=Text("Gửi lại toàn bộ.", "Send the whole again."),
        example="1000 of 5000 bytes came",
        retry=True,
    ),
    ProblemKind(
        code="upload-too-slow",
        status=408,
        title=Text("Gửi quá chậm", "Upload too slow"),
        what=Text(
            "Nội dung đến chậm hơn tốc độ tối thiểu nên bị dừng; không giữ lại phần nào.",
            "The body came more slowly than the least speed and was ended; nothing of it was kept.",
        ),
        why=Text(
            "Mỗi gói tin đang gửi chiếm một chỗ; đường truyền quá chậm sẽ chiếm chỗ của hệ thống khác.",
            "Every packet on its way takes a place; one that hardly moves takes it from other systems.",
        ),
        change=Text(
            "Kiểm tra đường truyền rồi gửi lại toàn bộ. Gửi tuần tự nếu đang gửi nhiều gói cùng lúc.",
            "Check the line and send the whole again; one after the other if several were under way.",
        ),
        example="fewer than 8192 bytes a second came; 40000 of 5000000 had arrived",
        retry=True,
    ),
    ProblemKind(
        code="too-many-uploads",
        status=429,
        title=Text("Gửi quá nhiều gói cùng lúc", "Too many packets at once"),
        what=Text(
            "Hệ thống này đang gửi cùng lúc nhiều gói tin nhất có thể.",
            "This system is sending as many packets at the same time as one system may.",
        ),
        why=Text(
            "Chỗ nhận gói tin được chia cho mọi hệ thống; gói khẩn có chỗ riêng.",
            "Places are shared by all systems; urgent packets have places of their own.",
        ),
        change=Text(
            "Đợi một gói gửi xong theo Retry-After rồi gửi tiếp.",
            "Wait as Retry-After says, until one of them has ended, then send the next.",
        ),
        example="this system is sending 32 packets already",
        retry=True,
        retry_after=1,
    ),
    ProblemKind(
        code="digest-mismatch",
        status=400,
        title=Text("Sai mã băm nội dung", "Content-Digest does not match"),
        what=Text("Các byte nhận được không khớp Content-Digest.", "The bytes that came do not have that digest."),
        why=Text("Nội dung đã bị thay đổi trên đường.", "They were changed on their way."),
        change=Text("Tính lại SHA-256 và gửi lại.", "Compute the SHA-256 again and send again."),
        example="the bytes that came have another SHA-256",
        retry=True,
    ),
    ProblemKind(
        code="packet-too-large",
        status=413,
        title=Text("Gói tin quá lớn", "Packet too large"),
        what=Text("Gói tin lớn hơn giới hạn của nút.", "The packet is over the limit of this node."),
        why=Text("Giới hạn nêu tại /.well-known/axis.", "The limit is named at /.well-known/axis."),
        change=Text("Giảm hoặc chia tệp đính kèm.", "Send fewer or smaller attachments."),
        example="a packet may have at most 1073741824 bytes",
    ),
    ProblemKind(
        code="packet-malformed",
        status=422,
        title=Text("Không đọc được gói tin", "Packet malformed"),
        what=Text(
            "Không phải edXML đọc được an toàn: sai XML, sai không gian tên, có DOCTYPE hoặc thực thể, vượt giới hạn, "
            "hay base64 hỏng.",
            "It is no edXML that can be read safely: not well-formed, wrong namespace, a DOCTYPE or entities, "
            "beyond a limit, or base64 that does not decode.",
        ),
        why=Text("`errors` nêu chỗ đầu tiên phải dừng đọc.", "`errors` names the place where reading stopped."),
        change=Text("Tạo lại gói tin theo QCVN 102:2016.", "Write the packet anew as QCVN 102:2016 says."),
        example="the packet cannot be read",
    ),
    ProblemKind(
        code="packet-invalid",
        status=422,
        title=Text("Gói tin sai quy định", "Packet not valid"),
        what=Text(
            "Gói tin đọc được nhưng nội dung sai quy định.", "The packet was read; its content breaks the rules."
        ),
        why=Text("`errors` nêu mọi chỗ sai, kèm dòng.", "`errors` names every place found wrong, with its line."),
        change=Text("Sửa tất cả rồi gửi lại.", "Correct them all and send again."),
        example="2 places of the packet are wrong",
    ),
    ProblemKind(
        code="document-id-missing",
        status=422,
        title=Text("Thiếu mã văn bản", "DocumentId missing"),
        what=Text("Gói tin không có DocumentId.", "The packet has no DocumentId."),
        why=Text("Trục không bao giờ sửa gói tin đã nhận.", "The axis never changes a packet it receives."),
        change=Text(
            "Ghi DocumentId vào MessageHeader: `<mã cơ quan>,<yyyy/MM/dd>,<số>/<ký hiệu>`.",
            "Write DocumentId into MessageHeader: `<OrganId>,<yyyy/MM/dd>,<number>/<notation>`.",
        ),
        example="the packet has no DocumentId",
    ),
    ProblemKind(
        code="document-id-reused",
        status=409,
        title=Text("Mã văn bản đã dùng cho nội dung khác", "DocumentId used for other content"),
        what=Text(
            "Cơ quan gửi đã dùng DocumentId này với nội dung khác.",
            "The sender has used this DocumentId for other content.",
        ),
        why=Text("Một mã chỉ nhận diện một nội dung.", "One identifier names one content."),
        change=Text(
            "Gửi đúng gói tin cũ để nhận lại biên nhận, hoặc dùng mã mới cho văn bản mới.",
            "Send the very packet of before to get its receipt again, or use a fresh identifier.",
        ),
        example="this DocumentId was accepted with another digest",
    ),
    ProblemKind(
        code="addressees-refused",
        status=422,
        title=Text("Nơi nhận không hợp lệ", "Addressees refused"),
        what=Text(
            "Một hoặc nhiều nơi nhận không có trong danh bạ hoặc đã giải thể.",
            "One or more addressees are unknown or closed.",
        ),
        why=Text("Một văn bản được nhận trọn vẹn hoặc không nhận.", "A document is accepted for all or for none."),
        change=Text(
            "Sửa mọi nơi nhận nêu trong `errors`; tra cứu tại /v1/agencies.",
            "Correct every addressee in `errors`; look codes up at /v1/agencies.",
        ),
        example="2 addressees are not valid",
    ),
    ProblemKind(
        code="secrecy-mark",
        status=422,
        title=Text("Văn bản mang dấu mật", "Secrecy mark"),
        what=Text("Gói tin mang dấu chỉ độ mật.", "The packet carries a mark of secrecy."),
        why=Text(
            "Văn bản mật không được gửi qua trục (Luật Bảo vệ bí mật nhà nước).",
            "Secret documents must not travel over the axis.",
        ),
        change=Text(
            "Gửi theo đường dành cho văn bản mật. Nếu không mật, bỏ dấu nêu trong `errors`.",
            "Send it by the way for secret documents. If it is not secret, remove what `errors` names.",
        ),
        example="the subject ends in MẬT",
    ),
    ProblemKind(
        code="signature-missing",
        status=422,
        title=Text("Thiếu chữ ký số của gói tin", "Signature missing"),
        what=Text(
            "Gói tin phải có chữ ký axis-1 nhưng không có.", "The packet must carry a signature axis-1 and has none."
        ),
        why=Text("Chữ ký chứng minh gói tin là của cơ quan gửi.", "It proves that the packet is the sender's."),
        change=Text("Ký gói tin, ví dụ bằng `axis pack`.", "Seal the packet, for example with `axis pack`."),
        example="a packet in this dialect must be sealed",
    ),
    ProblemKind(
        code="signature-failed",
        status=422,
        title=Text("Chữ ký số không đúng", "Signature failed"),
        what=Text(
            "Chữ ký sai, không phủ hết gói tin, hoặc chứng thư hết hạn hay đã thu hồi.",
            "The signature is broken, does not cover all parts, or its certificate is expired or revoked.",
        ),
        why=Text("`errors` nêu lý do theo ETSI EN 319 102-1.", "`errors` names the reason in ETSI EN 319 102-1 words."),
        change=Text(
            "Không sửa gói tin sau khi ký; ký lại bằng chứng thư còn hiệu lực.",
            "Do not change a packet once it is sealed; seal it again with a valid certificate.",
        ),
        example="HASH_FAILURE: an attachment was changed after sealing",
    ),
    ProblemKind(
        code="signer-not-bound",
        status=422,
        title=Text("Chứng thư không thuộc cơ quan gửi", "Signer not bound"),
        what=Text(
            "Chữ ký đúng nhưng chứng thư không gắn với hệ thống được gửi thay cơ quan ở From.",
            "The signature is good, but its certificate is not bound to a system that may send for From.",
        ),
        why=Text("Chứng thư phải được đăng ký cho việc ký thay cơ quan.", "Certificates for sealing are registered."),
        change=Text("Ký bằng chứng thư của cơ quan gửi.", "Seal with a certificate bound for the sending agency."),
        example="the certificate is not bound for H43.30.01",
    ),
)
