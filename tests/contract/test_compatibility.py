"""
Two releases can speak with each other: contracts are only added to.
"""

import copy
import json
from typing import Any

import pytest

from tests.contract.compatibility import KEPT, contracts, differences, project

RELEASED: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8"))


def test_todays_contracts_only_add_to_those_of_the_last_release() -> None:
    assert differences(RELEASED, contracts()) == []


def changed(change: Any) -> list[str]:
    now = copy.deepcopy(RELEASED)
    change(now)
    return differences(RELEASED, now)


def accepted(now: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = now["events"]["routing.document_accepted.v1"]
    return schema


def step(now: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = now["events"]["routing.deliveries_changed.v1"]["$defs"]["DeliveryStep"]
    return schema


def test_an_optional_field_a_new_event_and_better_words_are_no_difference() -> None:
    def change(now: dict[str, Any]) -> None:
        accepted(now)["properties"]["weight"] = {"type": "integer", "default": 0}
        accepted(now)["description"] = "Said better."
        step(now)["properties"]["by"] = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}
        now["events"]["routing.document_weighed.v1"] = {"type": "object"}
        now["operations"]["routing.weigh_document"] = {"request": {}, "reply": {}}

    assert changed(change) == []


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda now: now["events"].pop("routing.document_accepted.v1"), "is gone"),
        (lambda now: now["operations"].pop("routing.submit_document"), "is gone"),
        (lambda now: accepted(now)["properties"].pop("sender"), ".sender is gone"),
        (lambda now: accepted(now)["properties"]["sender"].update(type="integer"), ".sender/type"),
        (lambda now: accepted(now)["required"].append("weight"), "what is required changed: weight"),
        (lambda now: accepted(now)["required"].remove("sender"), "what is required changed: sender"),
        (lambda now: step(now)["properties"]["series"].update(type="string"), "series/type"),
        (
            lambda now: now["events"]["routing.deliveries_changed.v1"]["$defs"]["DeliveryState"]["enum"].append("new"),
            "to_state/enum",
        ),
        (
            lambda now: now["operations"]["routing.list_failed"]["request"]["properties"]["limit"].update(maximum=10),
            "limit/maximum",
        ),
    ],
)
def test_whatever_the_other_release_could_not_read_is_found(change: Any, finding: str) -> None:
    assert any(finding in found for found in changed(change)), changed(change)


def test_a_process_of_a_release_drops_what_it_does_not_know_at_any_depth() -> None:
    schema = RELEASED["events"]["routing.deliveries_changed.v1"]
    value = {"items": [{"delivery_id": "1", "later": 1}], "later": {"x": 1}}
    assert project(value, schema, schema) == {"items": [{"delivery_id": "1"}]}
