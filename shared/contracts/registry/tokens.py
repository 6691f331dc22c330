"""Access tokens."""

from pydantic import Field

from shared.contracts.base import Contract, Operation


class IssueToken(Contract):
    """
    Client credentials: either id and secret, or an assertion signed with the system's certificate key.

    Attributes:
        scopes: Scopes asked for; empty: all the credential has.
        agencies: Codes to narrow the token to; empty: not narrowed.
    """

    client_id: str | None = None
    client_secret: str | None = None
    client_assertion: str | None = Field(default=None, max_length=16_384)
    scopes: tuple[str, ...] = ()
    agencies: tuple[str, ...] = ()


class TokenIssued(Contract):
    """
    A fresh access token.

    Attributes:
        expires_in: Seconds.
    """

    access_token: str
    expires_in: int
    scopes: tuple[str, ...]


ISSUE_TOKEN = Operation("registry.issue_token", IssueToken, TokenIssued)
