"""
Notes that contradict a promise are noticed: a checker that cannot fail would prove nothing.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.kill.notes import Ledger, Notebook, NotesReader, longest_gap

PACKET, DOCUMENT, DELIVERY, AGENCY = "ab" * 32, "document-1", "delivery-1", "H43.31"


def note(did: str, **what: Any) -> dict[str, Any]:
    return {"did": did, "at": 1.0, **what}


@pytest.fixture
def ledger() -> Ledger:
    """
    One document, accepted, listed, fetched and acknowledged.
    """
    ledger = Ledger()
    ledger.enter("A", note("post", sha256=PACKET, to=[AGENCY], key="k"))
    ledger.enter("A", accepted())
    ledger.enter("B", listed())
    ledger.enter("B", note("fetch", delivery_id=DELIVERY, sha256=PACKET))
    ledger.enter("B", note("acknowledge", delivery_id=DELIVERY, result="done"))
    return ledger


def accepted(**other: Any) -> dict[str, Any]:
    return note("accept", sha256=PACKET, document_id=DOCUMENT, receipt="receipt-1") | other


def listed(**other: Any) -> dict[str, Any]:
    return note("list", delivery_id=DELIVERY, document_id=DOCUMENT, agency=AGENCY, sha256=PACKET) | other


def test_a_whole_journey_is_without_fault(ledger: Ledger) -> None:
    assert (ledger.faults, ledger.missing, ledger.unanswered(), ledger.strangers()) == ([], set(), [], [])
    assert (ledger.accepted, ledger.doubled, ledger.repeats) == (1, 0, 0)


def test_a_document_that_nobody_took_is_missing() -> None:
    ledger = Ledger()
    ledger.enter("A", note("post", sha256=PACKET, to=[AGENCY], key="k"))
    assert ledger.unanswered() == [PACKET]
    ledger.enter("A", accepted())
    ledger.enter("B", listed())
    assert ledger.missing == {(DOCUMENT, AGENCY)}


def test_a_receiver_may_be_faster_than_the_answer_to_the_sender() -> None:
    ledger = Ledger()
    ledger.enter("A", note("post", sha256=PACKET, to=[AGENCY], key="k"))
    ledger.enter("B", listed())
    ledger.enter("B", note("acknowledge", delivery_id=DELIVERY, result="fail"))
    ledger.enter("A", accepted())
    assert (ledger.missing, ledger.strangers(), ledger.faults) == (set(), [], [])


def test_the_same_receipt_again_is_a_repeat_and_another_one_a_fault(ledger: Ledger) -> None:
    ledger.enter("A", accepted())
    assert (ledger.repeats, ledger.faults) == (1, [])
    ledger.enter("A", accepted(receipt="receipt-2"))
    assert len(ledger.faults) == 1


def test_a_second_delivery_of_a_document_to_an_agency_is_a_fault(ledger: Ledger) -> None:
    ledger.enter("B", listed(delivery_id="delivery-2"))
    assert (ledger.doubled, len(ledger.faults)) == (1, 1)


def test_a_delivery_in_a_list_after_its_acknowledgement_is_a_fault(ledger: Ledger) -> None:
    ledger.enter("B", note("list again", delivery_id=DELIVERY))
    assert (ledger.doubled, len(ledger.faults)) == (1, 1)


@pytest.mark.parametrize("other", [{"sha256": "cd" * 32}, {"agency": "H43.32"}, {"document_id": "document-2"}])
def test_what_nobody_sent_there_is_a_stranger(ledger: Ledger, other: dict[str, str]) -> None:
    ledger.enter("B", listed(delivery_id="delivery-3", **other))
    assert ledger.strangers() == ["delivery-3"]


def test_other_bytes_than_were_listed_are_a_fault(ledger: Ledger) -> None:
    ledger.enter("B", note("fetch", delivery_id=DELIVERY, sha256="cd" * 32))
    assert len(ledger.faults) == 1


def test_half_a_line_is_read_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    book, reader = Notebook(path), NotesReader(path)
    book.write("rest")
    with path.open("a", encoding="utf-8") as file:
        file.write('{"did": "po')
        file.flush()
        assert [one["did"] for one in reader.read()] == ["rest"]
        file.write('st"}\n')
    assert [one["did"] for one in reader.read()] == ["post"]
    book.close()


def test_the_longest_gap_counts_both_ends() -> None:
    assert longest_gap([2.0, 3.0, 99.0], 0.0, 7.0) == pytest.approx(4.0)
    assert longest_gap([], 1.0, 4.0) == pytest.approx(3.0)
