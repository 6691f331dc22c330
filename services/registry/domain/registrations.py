"""Where a registration stands, and who has to act next."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.contracts.registry import KeyRequest, RegistrationStatus, RegistrationView

_NEXT_STEPS = {
    RegistrationStatus.PENDING: (
        "Chờ cán bộ quản trị của trục phê duyệt hoặc từ chối.",
        "The registrar of the axis approves or refuses it.",
    ),
    RegistrationStatus.APPROVED: (
        "Đơn vị tích hợp nhận thông tin xác thực bằng mã nhận (claim token).",
        "The integrator takes the credential with the claim token.",
    ),
    RegistrationStatus.REFUSED: (
        "Đơn vị tích hợp sửa theo lý do từ chối rồi đăng ký lại.",
        "The integrator mends what the reason says and registers again.",
    ),
    RegistrationStatus.HANDED_OVER: (
        "Đơn vị tích hợp lấy mã truy cập đầu tiên; trước đó vẫn có thể nhận lại thông tin xác thực.",
        "The integrator gets the first access token; until then the credential can be taken again.",
    ),
}
_NOTHING_LEFT = (
    "Đã hoàn tất; hệ thống có thể gửi và nhận văn bản.",
    "Everything is done; the system can send and receive documents.",
)


def next_step(status: RegistrationStatus, *, in_use: bool) -> str:
    """
    Say who has to do what, Vietnamese then English.

    Args:
        status: Where the registration stands.
        in_use: The credential has got an access token.
    """
    done = status is RegistrationStatus.HANDED_OVER and in_use
    return " / ".join(_NOTHING_LEFT if done else _NEXT_STEPS[status])


@dataclass(frozen=True)
class Registration:
    """
    An integrator's wish to connect a system for agencies.

    Attributes:
        agencies: Codes, new form.
        claim_hmac: What is kept of the claim token.
        warnings: What the approval could not grant.
        credential_id: Credential made by the approval.
        in_use: The credential has got an access token.
    """

    id: UUID
    status: RegistrationStatus
    system_id: str
    system_name: str
    contact_name: str
    contact_email: str
    agencies: tuple[str, ...]
    keys: tuple[KeyRequest, ...]
    claim_hmac: bytes
    created_at: datetime
    warnings: tuple[str, ...] = ()
    reason: str | None = None
    credential_id: UUID | None = None
    in_use: bool = False
    decided_at: datetime | None = None

    @property
    def is_approved(self) -> bool:
        """
        Tell whether a registrar has approved it, whatever came after.
        """
        return self.status in {RegistrationStatus.APPROVED, RegistrationStatus.HANDED_OVER}

    def view(self) -> RegistrationView:
        """
        Show it to its integrator or to a registrar.
        """
        return RegistrationView(
            id=self.id,
            status=self.status,
            system_id=self.system_id,
            system_name=self.system_name,
            contact_name=self.contact_name,
            contact_email=self.contact_email,
            agencies=self.agencies,
            reason=self.reason,
            created_at=self.created_at,
            decided_at=self.decided_at,
            next_step=next_step(self.status, in_use=self.in_use),
            warnings=self.warnings,
        )
