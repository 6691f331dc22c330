"""
The published schema of a packet's JSON form is the one the house uses.

To publish a changed one: `python -m tests.architecture.test_packet_schema`.
"""

import json
from pathlib import Path

from shared.edxml import form_schema

PUBLISHED = Path(__file__).parents[2] / "docs" / "reference" / "packet.schema.json"


def written() -> str:
    return json.dumps(form_schema(), ensure_ascii=False, indent=1) + "\n"


def test_the_published_schema_is_todays() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == written()


def test_the_schema_names_every_element_and_what_must_be_given() -> None:
    header = form_schema()["$defs"]["MessageHeader"]
    assert {"sender", "addressees", "code", "promulgation", "subject", "document_id"} == set(header["required"])
    assert all("x-edxml" in described for described in header["properties"].values())
    assert form_schema()["$defs"]["Business"]["properties"]["type"]["enum"][:4] == [0, 1, 2, 3]


if __name__ == "__main__":
    PUBLISHED.write_text(written(), encoding="utf-8")
