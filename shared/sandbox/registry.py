"""The functions a sandbox offers."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

Function = Callable[[Mapping[str, Any]], dict[str, Any]]


def load_functions(paths: Mapping[str, str]) -> dict[str, Function]:
    """
    Import functions named `package.module:function`.

    Raises:
        ImportError: There is no such module.
        AttributeError: There is no such function in it.
        ValueError: A path is written otherwise.
    """
    functions: dict[str, Function] = {}
    for name, path in paths.items():
        module, separator, attribute = path.partition(":")
        if not separator:
            raise ValueError(f"{path}: write package.module:function")
        functions[name] = getattr(importlib.import_module(module), attribute)
    return functions
