"""Where keys are kept."""

from typing import Protocol

from services.signing.domain.keys import NodeKey, Role


class KeyStore(Protocol):
    """
    Keeps the node's keys. They are loaded once and held for the life of the process.
    """

    def active(self, role: Role) -> tuple[NodeKey, ...]:
        """
        Give the keys of a role, newest first; the newest signs, at most `MAX_ACTIVE` are published.
        """
        ...
