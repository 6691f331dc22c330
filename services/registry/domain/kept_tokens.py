"""Access tokens kept for a while, so that a caller who proves itself with every call does not cost a signature each."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.contracts.registry import TokenIssued


@dataclass(frozen=True)
class KeptToken:
    """
    A token of a credential.

    Attributes:
        reuse_until: Half of its life: whoever gets it can work with it for as long again.
    """

    issued: TokenIssued
    reuse_until: datetime
    expires_at: datetime


class KeptTokens:
    """
    The tokens of one process. A token is only proof of who called: whether its system and credential are still good is
    asked of the database with every call, and by every service at use.
    """

    def __init__(self) -> None:
        self._kept: dict[UUID, KeptToken] = {}

    def find(self, credential_id: UUID, now: datetime) -> TokenIssued | None:
        """
        Give the token of a credential with what is left of its life, or None.
        """
        kept = self._kept.get(credential_id)
        if kept is None or kept.reuse_until <= now:
            return None
        left = int((kept.expires_at - now).total_seconds())
        return kept.issued.model_copy(update={"expires_in": left})

    def keep(self, credential_id: UUID, issued: TokenIssued, now: datetime, expires_at: datetime) -> None:
        """
        Keep a fresh token, and forget those that nobody may use any more.
        """
        for known, kept in list(self._kept.items()):
            if kept.reuse_until <= now:
                del self._kept[known]
        self._kept[credential_id] = KeptToken(issued, now + (expires_at - now) / 2, expires_at)
