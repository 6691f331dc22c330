"""
What the documents point to is there.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)")
PLACE = re.compile(r"`((?:deploy|docs|gateway|services|shared|tests)/[\w./-]+)`")
"""A path of this repository set as code; one with a placeholder such as `<service>` is not meant as a path."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_and_paths_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    dead = [link for link in LINK.findall(text) if not (document.parent / link).exists()]
    dead += [place for place in PLACE.findall(text) if not (ROOT / place).exists()]
    assert dead == []


@pytest.mark.parametrize("record", sorted((ROOT / "docs" / "adr").glob("*.md")), ids=lambda path: path.stem[:4])
def test_a_decision_record_has_its_five_parts_and_one_sentence_to_quote(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
        "Context",
        "Decision",
        "Consequences",
        "Alternatives",
        "References",
    ]
    decision = text.split("## Decision\n\n")[1].splitlines()[0]
    assert re.fullmatch(r"\*\*[^*]+\.\*\*", decision)
