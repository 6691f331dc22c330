"""What the players note for themselves: at the end it must agree with what the node says."""

from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID


@dataclass
class Ledger:
    """
    The clients' own notes.

    Attributes:
        expected: Per document, the addressees it was accepted for.
        received: Each (document, addressee) a mailbox handed over and its client acknowledged.
        returned: Documents an addressee sent back with status 02.
        refused: Refusals by problem code.
        same_receipt: How often a repeat got the very same receipt.
        failures: Sentences about what was not as designed; empty is success.
    """

    expected: dict[UUID, frozenset[str]] = field(default_factory=dict)
    received: Counter[tuple[UUID, str]] = field(default_factory=Counter)
    returned: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    same_receipt: int = 0
    failures: list[str] = field(default_factory=list)

    def accepted(self, document_id: UUID, addressees: frozenset[str]) -> None:
        """
        Note an accepted document.
        """
        self.expected[document_id] = addressees

    def delivered(self, document_id: UUID, addressee: str) -> None:
        """
        Note a delivery that was acknowledged.
        """
        self.received[(document_id, addressee)] += 1

    def expect(self, condition: bool, sentence: str) -> None:
        """
        Note a failure unless the condition holds.
        """
        if not condition:
            self.failures.append(sentence)

    @property
    def deliveries_expected(self) -> int:
        """
        How many deliveries the accepted documents amount to.
        """
        return sum(len(addressees) for addressees in self.expected.values())

    @property
    def lost(self) -> int:
        """
        Accepted for an addressee and never received by it.
        """
        return sum(
            (document_id, addressee) not in self.received
            for document_id, addressees in self.expected.items()
            for addressee in addressees
        )

    @property
    def doubled(self) -> int:
        """
        Received more than once, or without having been accepted.
        """
        return sum(
            count - 1 if addressee in self.expected.get(document_id, frozenset()) else count
            for (document_id, addressee), count in self.received.items()
        )
