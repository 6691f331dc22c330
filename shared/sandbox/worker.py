"""
The worker process: reads jobs from its standard input until that ends.

It has the address space it was given, no core dumps, and dies with its parent, whether that says goodbye or not.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import traceback
from typing import Any, BinaryIO, Final

from shared.errors import Rejected, Unavailable
from shared.sandbox.protocol import describe_error, frame, read_frame
from shared.sandbox.registry import Function, load_functions

_PR_SET_PDEATHSIG: Final = 1
_EXHAUSTED: Final = 3


def main() -> int:
    """
    Serve until the pool closes.
    """
    settings = json.loads(sys.argv[1])
    _die_with(settings["parent"])
    jobs, answers = _take_channel()
    try:
        functions = load_functions(settings["functions"])
    except Exception as error:  # noqa: BLE001 - whatever stops the start is told to the pool
        _send(answers, {"failed": repr(error)})
        return 1
    resource.setrlimit(resource.RLIMIT_AS, (settings["memory_bytes"], settings["memory_bytes"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _send(answers, {"ready": True})
    while (job := read_frame(jobs)) is not None:
        answer = _work(functions[job["function"]], job["arguments"])
        if answer is None:
            return _EXHAUSTED
        _send(answers, answer)
    return 0


def _work(function: Function, arguments: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return {"result": function(arguments)}
    except (Rejected, Unavailable) as error:
        return describe_error(error)
    except MemoryError:
        return None
    except Exception:  # noqa: BLE001 - a defect is reported to the pool, which raises it there
        return {"defect": traceback.format_exc()}


def _send(answers: BinaryIO, message: dict[str, Any]) -> None:
    answers.write(frame(message))
    answers.flush()


def _take_channel() -> tuple[BinaryIO, BinaryIO]:
    # Standard input and output become the channel; what a library prints goes to standard error instead.
    jobs, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return jobs, answers


def _die_with(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # It was gone before the line above took effect.
        raise SystemExit(1)


if __name__ == "__main__":
    sys.exit(main())
