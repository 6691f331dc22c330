"""Calls that are proved by an HMAC over a header, as the national dialect has it."""

from pydantic import Field

from shared.contracts.base import Contract, Moment, Operation
from shared.contracts.registry.tokens import TokenIssued

MAX_SIGNED_HEADER_BYTES = 1024 * 1024
"""Two thousand addressees take some forty kilobytes; a door that takes longer lines than this has another mistake."""


class SignedHeader(Contract):
    """
    A signed header as it came; the system is the one it names itself.

    Attributes:
        signed_header: Base64 of the bytes received in `XroadVnpt-sign-header`.
        hash_header: What came in `XroadVnpt-hash-header`: an HMAC-SHA256 in hexadecimal.
        source: Address of the client, IPv4 or IPv6.
    """

    signed_header: str = Field(max_length=MAX_SIGNED_HEADER_BYTES * 4 // 3 + 4)
    hash_header: str = Field(max_length=256)
    source: str = Field(max_length=64)


class Sighting(Contract):
    """
    An address that a system has called from.

    Attributes:
        accepted: It was the first one, or an operator has let it pass; any other one is an alarm.
    """

    address: str
    first_seen_at: Moment
    last_seen_at: Moment
    accepted: bool


class SystemAccess(Contract):
    """
    Where a system may call from, and where it has called from.

    Attributes:
        sources: Networks it may call from, such as `203.0.113.0/24`; empty: any.
        addresses: Those it has called from, in the order they were first seen.
    """

    system_id: str
    sources: tuple[str, ...] = ()
    addresses: tuple[Sighting, ...] = ()

    @property
    def is_alarming(self) -> bool:
        """
        Tell whether it was used from an address that nobody has let pass.
        """
        return any(not sighting.accepted for sighting in self.addresses)


class SetSources(Contract):
    """
    Say where a system may call from. The addresses it has called from are let pass where they lie inside, and forgotten
    where they do not, so an alarm about them ends.
    """

    token: str
    system_id: str
    sources: tuple[str, ...] = Field(default=(), max_length=50)


CHECK_SIGNED_HEADER = Operation("registry.check_signed_header", SignedHeader, TokenIssued)
SET_SOURCES = Operation("registry.set_sources", SetSources, SystemAccess)
