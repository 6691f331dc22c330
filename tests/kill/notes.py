"""What clients write down, each in a file of its own, and what all their notes together say."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

MOST_FAULTS: Final = 20


class Notebook:
    """
    One client's notes: a line for each thing, written before the client acts on it.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1, encoding="utf-8")

    def write(self, did: str, **what: Any) -> None:
        # This clock is the same in every process of the machine, and nobody sets it.
        self._file.write(json.dumps({"did": did, "at": time.monotonic(), **what}) + "\n")

    def close(self) -> None:
        self._file.close()


class NotesReader:
    """
    Reads what was added to a client's notes since the last time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = 0

    def read(self) -> Iterator[dict[str, Any]]:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._place)
            for line in file:
                if not line.endswith(b"\n"):
                    return  # its writer is in the middle of it
                self._place += len(line)
                yield json.loads(line)


@dataclass
class Sent:
    """
    A packet somebody posted; it is known by its digest, for no two are alike.
    """

    to: tuple[str, ...]
    document_id: str | None = None
    receipt: str | None = None


@dataclass
class Taken:
    """
    A delivery that somebody was shown.
    """

    document_id: str
    agency: str
    sha256: str
    fetched: bool = False
    result: str | None = None


@dataclass
class Ledger:
    """
    All notes together, and where they contradict a promise.

    Attributes:
        sent: By digest of the packet.
        packets: Digest of the packet of each document that was accepted.
        taken: By delivery.
        shares: The delivery of each document to each agency.
        missing: Which addressees of which accepted documents nobody has acknowledged for yet.
        accepted_at, taken_at: When documents were accepted for the first time, and deliveries acknowledged.
        repeats: Answers to documents that had been accepted before.
        doubled: Deliveries that came twice.
        faults: What contradicts a promise by itself.
        resting: Clients that have come to rest.
    """

    sent: dict[str, Sent] = field(default_factory=dict)
    packets: dict[str, str] = field(default_factory=dict)
    taken: dict[str, Taken] = field(default_factory=dict)
    shares: dict[tuple[str, str], str] = field(default_factory=dict)
    missing: set[tuple[str, str]] = field(default_factory=set)
    accepted_at: list[float] = field(default_factory=list)
    taken_at: list[float] = field(default_factory=list)
    repeats: int = 0
    doubled: int = 0
    faults: list[str] = field(default_factory=list)
    resting: set[str] = field(default_factory=set)

    def enter(self, client: str, note: dict[str, Any]) -> None:
        match note["did"]:
            case "post":
                self.resting.discard(client)
                self.sent[note["sha256"]] = Sent(tuple(note["to"]))
            case "accept":
                self._accept(note)
            case "list":
                self._list(note)
            case "fetch":
                taken = self.taken[note["delivery_id"]]
                taken.fetched = True
                if taken.sha256 != note["sha256"]:
                    self._complain(f"delivery {note['delivery_id']} was listed as one packet and fetched as another")
            case "acknowledge":
                taken = self.taken[note["delivery_id"]]
                taken.result = note["result"]
                self.missing.discard((taken.document_id, taken.agency))
                self.taken_at.append(note["at"])
            case "list again":
                self.doubled += 1
                self._complain(f"delivery {note['delivery_id']} was listed after its acknowledgement was answered")
            case "wrong":
                self._complain(f"{client}: {note['what']}")
            case "rest":
                self.resting.add(client)

    @property
    def accepted(self) -> int:
        return len(self.packets)

    def unanswered(self) -> list[str]:
        """
        Which packets have no receipt; none, once every sender has come to rest.
        """
        return [sha256 for sha256, sent in self.sent.items() if sent.document_id is None]

    def strangers(self) -> list[str]:
        """
        Which deliveries hold what nobody sent, or came to somebody it was not sent to.
        """
        found = []
        for delivery_id, taken in self.taken.items():
            sent = self.sent.get(taken.sha256)
            if sent is None or sent.document_id != taken.document_id or taken.agency not in sent.to:
                found.append(delivery_id)
        return found

    def _accept(self, note: dict[str, Any]) -> None:
        sent, document_id = self.sent[note["sha256"]], note["document_id"]
        if sent.document_id is None:
            self.accepted_at.append(note["at"])
            sent.document_id, sent.receipt = document_id, note["receipt"]
            if self.packets.setdefault(document_id, note["sha256"]) != note["sha256"]:
                self._complain(f"two packets are one document {document_id}")
            # Receivers may have been faster than the answer to the sender.
            self.missing |= {(document_id, agency) for agency in sent.to if not self._is_taken(document_id, agency)}
            return
        self.repeats += 1
        if (sent.document_id, sent.receipt) != (document_id, note["receipt"]):
            self._complain(f"document {sent.document_id} got another receipt when it was sent again")

    def _is_taken(self, document_id: str, agency: str) -> bool:
        delivery_id = self.shares.get((document_id, agency))
        return delivery_id is not None and self.taken[delivery_id].result is not None

    def _list(self, note: dict[str, Any]) -> None:
        taken = Taken(note["document_id"], note["agency"], note["sha256"])
        self.taken[note["delivery_id"]] = taken
        first = self.shares.setdefault((taken.document_id, taken.agency), note["delivery_id"])
        if first != note["delivery_id"]:
            self.doubled += 1
            self._complain(f"{taken.agency} has two deliveries of document {taken.document_id}")

    def _complain(self, fault: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)


def longest_gap(moments: list[float], begin: float, end: float) -> float:
    """
    The longest time within a span in which nothing happened, in seconds.
    """
    inside = sorted(moment for moment in moments if begin <= moment <= end)
    return max((later - earlier for earlier, later in zip([begin, *inside], [*inside, end], strict=True)), default=0.0)
