"""
What keeps a process from using the broker.

    AxisError
    └── BrokerRefused      the person who runs it must change something at the broker or in the settings
"""

from shared.errors import AxisError


class BrokerRefused(AxisError):
    """
    The broker is there and does not let this process work as things stand.

    Args:
        problem: What is wrong, Vietnamese first.
        remedy: What the person at the machine can do about it, Vietnamese first.
    """

    def __init__(self, problem: str, *, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.problem = problem
        self.remedy = remedy


def wrong_credentials(where: str, user: str) -> BrokerRefused:
    """
    Name or password are refused.
    """
    return BrokerRefused(
        f"RabbitMQ tại {where} từ chối tên hoặc mật khẩu của “{user}”. "
        f"RabbitMQ at {where} refuses the name or password of “{user}”.",
        remedy="Sửa địa chỉ …BROKER_URL, hoặc đặt lại mật khẩu bằng `axis broker setup`. "
        "Mend the …BROKER_URL, or set the passwords again with `axis broker setup`.",
    )


def no_vhost(where: str, user: str) -> BrokerRefused:
    """
    The virtual host is missing, or not for this user.
    """
    return BrokerRefused(
        f"RabbitMQ không có virtual host tại {where}, hoặc “{user}” không được vào. "
        f"There is no virtual host at {where}, or “{user}” may not enter it.",
        remedy="Tạo virtual host và quyền bằng `axis broker setup`, hoặc sửa phần cuối của …BROKER_URL. "
        "Make it and its rights with `axis broker setup`, or mend the last part of the …BROKER_URL.",
    )


def not_set_up(where: str, what: str) -> BrokerRefused:
    """
    An exchange or queue is missing.
    """
    return BrokerRefused(
        f"RabbitMQ tại {where} chưa được khai báo cho bản phát hành này: {what}. "
        f"RabbitMQ at {where} was not set up for this release: {what}.",
        remedy="Chạy `axis broker setup`, hoặc nạp tệp definitions của bản phát hành này. "
        "Run `axis broker setup`, or load the definitions of this release.",
    )


def conflicting(where: str, what: str) -> BrokerRefused:
    """
    Something of that name is there and is another kind of thing.
    """
    return BrokerRefused(
        f"RabbitMQ tại {where} có hàng đợi hoặc exchange cùng tên nhưng khác loại: {what}. "
        f"RabbitMQ at {where} has a queue or exchange of that name but of another kind: {what}.",
        remedy="Đợi hàng đợi đó rỗng rồi xóa nó (`rabbitmqctl delete_queue`), hoặc dùng virtual host khác, sau đó chạy "
        "`axis broker setup`. Let that queue run empty and delete it (`rabbitmqctl delete_queue`), or use another "
        "virtual host; then run `axis broker setup`.",
    )


def no_rights(where: str, user: str, what: str) -> BrokerRefused:
    """
    The user may not do what its process needs.
    """
    return BrokerRefused(
        f"RabbitMQ tại {where} không cho “{user}” đủ quyền: {what}. "
        f"RabbitMQ at {where} does not give “{user}” the rights it needs: {what}.",
        remedy="Cấp lại quyền bằng `axis broker setup`. Give the rights again with `axis broker setup`.",
    )
