"""
What travels on the bus can be told by its name, and the journal can keep it for ever.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

import shared.contracts
from shared.contracts.base import Event, Hint, Operation

EVENT_TOPIC = re.compile(r"(?P<service>[a-z]+)\.[a-z][a-z0-9_]*\.v[1-9][0-9]*")
HINT_TOPIC = re.compile(r"(?P<service>[a-z]+)\.[a-z][a-z0-9_]*")
"""A hint may be lost and is never stored, so a process of another version simply does not hear it: no version."""

OPERATION = re.compile(r"(?P<service>[a-z]+)\.[a-z]+(_[a-z0-9]+)+")

FREE_TEXT = {
    "address",
    "comment",
    "contact",
    "description",
    "detail",
    "email",
    "mobile",
    "name",
    "note",
    "person",
    "phone",
    "reason",
    "staff",
    "subject",
    "telephone",
    "text",
    "title",
}
"""What the law may order erased, or what people write freely. It stays in its owner's tables, under a key."""

PLAIN_ENDINGS = {"at", "bytes", "code", "count", "id", "ids", "key", "keys", "sha256", "sha256s"}
"""`reason_code` is a code, `staff_id` an identifier: the last word decides."""

SETTLED = {("signing.certificates_revoked.v1", "reason"): "a word of RFC 5280 section 5.3.1; signing refuses any other"}


def modules() -> Iterator[Any]:
    for found in pkgutil.iter_modules(shared.contracts.__path__):
        yield importlib.import_module(f"shared.contracts.{found.name}")


def kinds_of(parent: type) -> list[type[Any]]:
    found = {
        kind
        for module in modules()
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, parent) and kind is not parent
    }
    return sorted(found, key=lambda kind: kind.__qualname__)


EVENTS = kinds_of(Event)
HINTS = kinds_of(Hint)
OPERATIONS = sorted(
    {
        (module.__name__.rpartition(".")[2], value.name)
        for module in modules()
        for value in vars(module).values()
        if isinstance(value, Operation)
    }
)


def fields_of(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, str]]:
    """
    Every field of a contract and of the contracts inside it: its path and its own name.
    """
    for name, field in model.model_fields.items():
        yield f"{path}{name}", name
        for inner in models_in(field.annotation):
            yield from fields_of(inner, f"{path}{name}.")


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def is_free_text(name: str) -> bool:
    words = name.split("_")
    return words[-1] not in PLAIN_ENDINGS and any(word in FREE_TEXT for word in words)


@pytest.mark.parametrize("event", EVENTS, ids=lambda kind: kind.__qualname__)
def test_the_topic_of_an_event_names_its_publisher_and_version(event: type[Event]) -> None:
    match = EVENT_TOPIC.fullmatch(event.topic)
    assert match is not None, event.topic
    assert match["service"] == event.__module__.split(".")[2]


@pytest.mark.parametrize("hint", HINTS, ids=lambda kind: kind.__qualname__)
def test_the_topic_of_a_hint_names_its_sender_and_no_version(hint: type[Hint]) -> None:
    match = HINT_TOPIC.fullmatch(hint.topic)
    assert match is not None, hint.topic
    assert match["service"] == hint.__module__.split(".")[2]


def test_no_two_events_share_a_topic() -> None:
    topics = [kind.topic for kind in (*EVENTS, *HINTS)]
    assert len(topics) == len(set(topics))


def test_an_operation_is_named_after_who_answers_it() -> None:
    for owner, name in OPERATIONS:
        match = OPERATION.fullmatch(name)
        assert match is not None, name
        assert match["service"] == owner


@pytest.mark.parametrize("event", EVENTS, ids=lambda kind: kind.__qualname__)
def test_an_event_carries_nothing_that_the_journal_must_not_hold(event: type[Event]) -> None:
    found = [path for path, name in fields_of(event) if is_free_text(name) and (event.topic, path) not in SETTLED]
    assert found == [], f"{event.__qualname__}: write it to a table and publish its key, or a code"


@pytest.mark.parametrize("name", ["reason", "contact_email", "subject", "signer_name"])
def test_a_field_of_free_text_is_seen(name: str) -> None:
    assert is_free_text(name)


@pytest.mark.parametrize("name", ["reason_code", "system_id", "sender", "text_sha256", "addressee_count"])
def test_a_code_or_an_identifier_is_no_free_text(name: str) -> None:
    assert not is_free_text(name)
