"""The contracts as an AsyncAPI document: `python -m shared.contracts.asyncapi` writes docs/reference/asyncapi.json."""

import json
import sys
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shared.contracts.catalogue import events, hints, operations

WRITTEN_TO: Final = Path(__file__).parents[2] / "docs" / "reference" / "asyncapi.json"
_SCHEMAS: Final = "#/components/schemas"


def describe() -> dict[str, Any]:
    """
    Describe every event, hint and operation.

    Source:
        AsyncAPI 3.0.0.
    """
    published = {**events(), **hints()}
    asked = operations()
    kinds: list[type[BaseModel]] = [*published.values()]
    kinds += [kind for one in asked.values() for kind in (one.request, one.reply)]
    names, shapes = models_json_schema(
        [(kind, "serialization") for kind in dict.fromkeys(kinds)], ref_template=_SCHEMAS + "/{model}"
    )
    messages = {name: _message(name, kind, names[kind, "serialization"]) for name, kind in published.items()}
    messages |= {
        f"{name}.{side}": _message(name, kind, names[kind, "serialization"])
        for name, one in asked.items()
        for side, kind in (("request", one.request), ("reply", one.reply))
    }
    channels = {name: _channel(name, f"{name}") for name in published}
    channels |= {
        f"{name}.{side}": _channel(f"{name}.{side}", f"{name}.{side}")
        for name in asked
        for side in ("request", "reply")
    }
    does = {f"publish {name}": _does("send", name, kind) for name, kind in published.items()}
    does |= {
        f"answer {name}": {
            **_does("receive", f"{name}.request", one.request),
            "reply": {"channel": {"$ref": _channel_reference(f"{name}.reply")}},
        }
        for name, one in asked.items()
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Document axis: what its services say to each other",
            "version": "1",
            "description": "Inside one node only; agencies use the HTTP interface. A message on the bus is a pack of 1 "
            "to 64 items in one wire form (shared/messaging/item.py); here stands what an item's `data` holds. "
            "Contracts are only added to.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": does,
        "components": {"messages": messages, "schemas": shapes.get("$defs", {})},
    }


def text() -> str:
    """
    The document as it stands in the file.
    """
    return json.dumps(describe(), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _message(name: str, kind: type[BaseModel], shape: Any) -> dict[str, Any]:
    return {"name": name, "summary": (kind.__doc__ or "").strip().partition("\n")[0], "payload": shape}


def _channel(address: str, message: str) -> dict[str, Any]:
    reference = f"#/components/messages/{message}"
    return {"address": address, "messages": {"item": {"$ref": reference}}}


def _channel_reference(name: str) -> str:
    return f"#/channels/{name}"


def _does(action: str, channel: str, kind: type[BaseModel]) -> dict[str, Any]:
    summary = (kind.__doc__ or "").strip().partition("\n")[0]
    return {"action": action, "channel": {"$ref": _channel_reference(channel)}, "summary": summary}


if __name__ == "__main__":
    WRITTEN_TO.parent.mkdir(parents=True, exist_ok=True)
    WRITTEN_TO.write_text(text(), encoding="utf-8")
    sys.exit(0)
