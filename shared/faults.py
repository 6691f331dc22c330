"""Named points at which a test may let something go wrong; in production nothing does."""

from typing import Protocol


class SimulatedCrash(BaseException):
    """
    The work at hand dies here as if its process had been killed.
    """


class Faults(Protocol):
    """
    What messaging, database and blob store ask at their points.

    Points: `ask`, `reply`, `publish`, `deliver`, `begin`, `commit`, `committed`, `blob put`.
    """

    async def at(self, point: str, key: str) -> None:
        """
        Pass a point: may wait for a turn, may raise `SimulatedCrash`.

        Inside a transaction (`commit`, `committed`) it must not wait, or a lock it holds would stop everyone.
        """

    def left(self, key: str) -> None:
        """
        The transaction that was begun has ended, whichever way.
        """

    def copies(self, key: str) -> int:
        """
        How many times a message is handed over; 1 in ordinary life.
        """


class NoFaults:
    """
    Ordinary life.
    """

    async def at(self, point: str, key: str) -> None: ...

    def left(self, key: str) -> None: ...

    def copies(self, key: str) -> int:  # noqa: ARG002 - the port's signature
        return 1


NO_FAULTS = NoFaults()
