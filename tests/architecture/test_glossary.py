"""
One word for one thing: whatever a person reads in an answer stands in the glossary.
"""

import re
from enum import Enum
from pathlib import Path

import pytest

from shared.contracts.base import Lane
from shared.contracts.registry import RegistrationStatus, Role, Scope, SystemStatus, WebhookState
from shared.contracts.routing import DeliveryState, ReportStatus
from shared.contracts.signing import Indication

GLOSSARY = Path(__file__).parents[2] / "docs" / "glossary.md"
DECLARED = set(re.findall(r"`([^`\n]+)`", GLOSSARY.read_text(encoding="utf-8")))
"""Every name the glossary sets as code."""

VOCABULARIES = (DeliveryState, Role, Scope, SystemStatus, RegistrationStatus, WebhookState, Indication)


@pytest.mark.parametrize("vocabulary", VOCABULARIES, ids=lambda kind: kind.__name__)
def test_every_word_of_a_vocabulary_is_in_the_glossary(vocabulary: type[Enum]) -> None:
    assert {str(member.value) for member in vocabulary} - DECLARED == set()


def test_every_lane_is_in_the_glossary_by_name_and_number() -> None:
    assert {f"{int(lane)} {lane.name}" for lane in Lane} - DECLARED == set()


def test_every_status_code_is_in_the_glossary() -> None:
    pattern = str(ReportStatus.model_json_schema()["properties"]["code"]["pattern"])
    codes = set(re.findall(r"\d{2}", pattern))
    assert codes
    assert codes - DECLARED == set()
