"""Every contract of the house by its name, for whoever describes or compares them."""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import shared.contracts
from shared.contracts.base import Event, Hint, Operation
from shared.contracts.dead import dead_operations


def events() -> dict[str, type[Event]]:
    """
    Every event by its topic.
    """
    return dict(sorted((kind.topic, kind) for kind in _kinds(Event)))


def hints() -> dict[str, type[Hint]]:
    """
    Every hint by its topic.
    """
    return dict(sorted((kind.topic, kind) for kind in _kinds(Hint)))


def operations() -> dict[str, Operation[Any, Any]]:
    """
    Every operation by its name.
    """
    found = [value for module in _modules() for value in vars(module).values() if isinstance(value, Operation)]
    for service in {one.service for one in found}:
        dead = dead_operations(service)
        found += [dead.list, dead.retry, dead.drop]
    return dict(sorted((one.name, one) for one in found))


def _modules() -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(shared.contracts.__path__):
        if found.name != "catalogue":
            yield importlib.import_module(f"shared.contracts.{found.name}")


def _kinds(parent: type) -> set[type[Any]]:
    return {
        value
        for module in _modules()
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, parent) and hasattr(value, "topic")
    }
