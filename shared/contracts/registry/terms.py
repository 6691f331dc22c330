"""Scopes, roles and states that every part knows."""

from enum import StrEnum


class Scope(StrEnum):
    """
    What a token may be used for.
    """

    SEND = "send"
    INBOX = "inbox"
    ACKNOWLEDGE = "acknowledge"
    OPERATE = "operate"
    REGISTER = "register"
    APPROVE = "approve"


class Role(StrEnum):
    """
    What a system may do for an agency.
    """

    SENDER = "sender"
    """Posts documents of the agency and seals them."""
    READER = "reader"
    """Sees the agency's mailbox."""
    RECEIVER = "receiver"
    """The one system that acknowledges for the agency; it reads the mailbox too."""


class SystemStatus(StrEnum):
    """
    Whether a system may connect.
    """

    ACTIVE = "active"
    DISABLED = "disabled"
