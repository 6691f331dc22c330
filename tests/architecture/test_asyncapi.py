"""
The description of the bus is of today, and whole.
"""

import json
from collections.abc import Iterator
from typing import Any

from shared.contracts.asyncapi import WRITTEN_TO, describe, text
from shared.contracts.catalogue import events, operations


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, one in value.items():
            if name == "$ref" and isinstance(one, str):
                yield one
            else:
                yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


def find(document: Any, reference: str) -> Any:
    for step in reference.removeprefix("#/").split("/"):
        document = document[step]
    return document


def test_the_file_is_up_to_date() -> None:
    assert WRITTEN_TO.read_text(encoding="utf-8") == text(), "run: python -m shared.contracts.asyncapi"


def test_every_contract_is_described_and_every_reference_leads_somewhere() -> None:
    document = json.loads(text())
    assert document["asyncapi"] == "3.0.0"
    assert set(events()) <= set(document["channels"])
    assert {f"answer {name}" for name in operations()} <= set(document["operations"])
    found = set(references(document))
    assert len(found) > len(operations())
    for reference in found:
        find(document, reference)


def test_every_message_says_what_it_is() -> None:
    silent = [name for name, message in describe()["components"]["messages"].items() if not message["summary"]]
    assert silent == []
