"""Functions that do to a worker what hostile input might."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from shared.edxml.findings import refuse
from shared.errors import Rejected, Unavailable


class NoSuchColourError(Rejected):
    """
    A refusal known only to this module.
    """

    code = "no-such-colour"


def echo(arguments: dict[str, Any]) -> dict[str, Any]:
    print("printed where the channel is")  # noqa: T201 - must not disturb the channel
    return {**arguments, "pid": os.getpid(), "environment": sorted(os.environ)}


def reject(arguments: dict[str, Any]) -> dict[str, Any]:
    if "colour" in arguments:
        raise NoSuchColourError("no such colour")
    return refuse("doctype-refused", "/edXML", 7)


def fail(_arguments: dict[str, Any]) -> dict[str, Any]:
    raise Unavailable("the disk is away")


def break_down(_arguments: dict[str, Any]) -> dict[str, Any]:
    raise KeyError("a defect")


def stall(_arguments: dict[str, Any]) -> dict[str, Any]:
    while True:
        time.sleep(60)


def die(arguments: dict[str, Any]) -> dict[str, Any]:
    flag = arguments.get("once")
    if flag is not None:
        if Path(flag).exists():
            return {"survived": True}
        Path(flag).touch()
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def devour(_arguments: dict[str, Any]) -> dict[str, Any]:
    hoard = []
    while True:
        hoard.append(bytearray(16 * 1024 * 1024))


def babble(_arguments: dict[str, Any]) -> dict[str, Any]:
    return {"text": "x" * (65 * 1024 * 1024)}


def leave(_arguments: dict[str, Any]) -> dict[str, Any]:
    sys.exit(0)
