"""What a release says on the bus, kept as a file, and the rule by which the next one may add to it."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from shared.contracts.catalogue import events, hints, operations

KEPT = Path(__file__).with_name("contracts.json")
"""As of the last release. `python -m tests.contract.compatibility` writes it anew when a release is made."""

_WORDS = {"title", "description", "examples"}
"""Said to people; programs do not decide by them."""

_UNLIKE: Any = object()


def contracts() -> dict[str, Any]:
    """
    The JSON Schema of everything that travels.
    """
    return {
        "events": {topic: kind.model_json_schema() for topic, kind in events().items()},
        "hints": {topic: kind.model_json_schema() for topic, kind in hints().items()},
        "operations": {
            name: {"request": one.request.model_json_schema(), "reply": one.reply.model_json_schema()}
            for name, one in operations().items()
        },
    }


def differences(kept: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """
    Tell where two releases could not run side by side.
    """
    return [
        *_missing_or_changed("event", kept["events"], now["events"]),
        *_missing_or_changed("hint", kept["hints"], now["hints"]),
        *(
            finding
            for name, one in kept["operations"].items()
            for side in ("request", "reply")
            for finding in _missing_or_changed(
                f"{side} of operation",
                {name: one[side]},
                {name: now["operations"][name][side]} if name in now["operations"] else {},
            )
        ),
    ]


def _missing_or_changed(what: str, kept: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for name, schema in kept.items():
        if name not in now:
            yield f"{what} {name} is gone"
        else:
            for finding in _compare(schema, now[name], schema, now[name], ""):
                yield f"{what} {name}{finding}"


def _compare(kept: Any, now: Any, kept_root: Any, now_root: Any, place: str) -> Iterator[str]:
    """
    Both directions at once: either release may have written what the other reads. So nothing goes away, nothing
    changes its type or its limits, nothing becomes required or stops being so, and what is new is optional.
    """
    kept, now = _resolved(kept, kept_root), _resolved(now, now_root)
    if isinstance(kept, list) and isinstance(now, list) and len(kept) == len(now):
        for number, (before, after) in enumerate(zip(kept, now, strict=True)):
            yield from _compare(before, after, kept_root, now_root, f"{place}/{number}")
        return
    if not isinstance(kept, dict) or not isinstance(now, dict):
        if kept != now:
            yield f"{place}: {kept!r} became {now!r}"
        return
    properties = kept.get("properties", {})
    for name, before in properties.items():
        if name not in now.get("properties", {}):
            yield f"{place}.{name} is gone"
        else:
            yield from _compare(before, now["properties"][name], kept_root, now_root, f"{place}.{name}")
    if set(kept.get("required", ())) != set(now.get("required", ())):
        changed = sorted(set(kept.get("required", ())) ^ set(now.get("required", ())))
        yield f"{place}: what is required changed: {', '.join(changed)}"
    for word in (kept.keys() | now.keys()) - _WORDS - {"properties", "required", "$defs"}:
        yield from _compare(kept.get(word, _UNLIKE), now.get(word, _UNLIKE), kept_root, now_root, f"{place}/{word}")


def _resolved(schema: Any, root: Any) -> Any:
    while isinstance(schema, dict) and isinstance(reference := schema.get("$ref"), str):
        beside = {word: value for word, value in schema.items() if word != "$ref"}
        schema = {**root["$defs"][reference.removeprefix("#/$defs/")], **beside}
    return schema


def project(value: Any, schema: Any, root: Any) -> Any:
    """
    Drop what a schema does not know, as a process of its release would.
    """
    return _walk(value, schema, root, lambda known: known)


def widen(value: Any, schema: Any, root: Any) -> Any:
    """
    Add to every object what nobody knows yet, as a process of a later release would.
    """
    return _walk(value, schema, root, lambda known: {**known, "of_a_later_release": {"anything": [1, None]}})


def _walk(value: Any, schema: Any, root: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    schema = _resolved(schema, root)
    if "anyOf" in schema:
        kind = "array" if isinstance(value, list) else "object"
        choices = [_resolved(choice, root) for choice in schema["anyOf"]]
        schema = next((choice for choice in choices if choice.get("type") == kind), schema)
    if isinstance(value, list):
        if "prefixItems" in schema:
            return [_walk(one, of, root, change) for one, of in zip(value, schema["prefixItems"], strict=False)]
        return [_walk(one, schema.get("items", {}), root, change) for one in value]
    if not isinstance(value, dict):
        return value
    if "properties" not in schema:
        # A dictionary under names of its own: only what it holds may have a form that we know.
        of = schema.get("additionalProperties")
        return {name: _walk(one, of, root, change) for name, one in value.items()} if isinstance(of, dict) else value
    properties = schema["properties"]
    return change(
        {name: _walk(one, properties[name], root, change) for name, one in value.items() if name in properties}
    )


if __name__ == "__main__":
    KEPT.write_text(json.dumps(contracts(), ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    sys.exit(0)
