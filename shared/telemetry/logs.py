"""Structured logs: one JSON object a line, or coloured text for people at a terminal."""

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog

from shared.telemetry.correlation import correlation_id


def _add_correlation_id(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if current := correlation_id():
        event.setdefault("correlation_id", current)
    return event


LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def configure_logs(*, level: str | None = None, stream: TextIO | None = None) -> None:
    """
    Set up logging once per process.

    Args:
        level: Lowest level written; None: as `AXIS_LOG_LEVEL` says, else INFO. DEBUG has a line for each ask and event.
        stream: Where to; standard error when None. A terminal gets text, anything else JSON.
    """
    target = stream or sys.stderr
    wanted = level or os.environ.get("AXIS_LOG_LEVEL", "INFO").upper()
    lowest = logging.getLevelName(wanted if wanted in LEVELS else "INFO")
    renderer: Any = (
        structlog.dev.ConsoleRenderer() if target.isatty() else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[
            _add_correlation_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(lowest, logging.WARNING), stream=target)
    if wanted not in LEVELS:
        get_logger(__name__).warning("AXIS_LOG_LEVEL is none of the levels; INFO is used", levels=LEVELS)


def get_logger(name: str) -> Any:
    """
    A logger that names where the line comes from.
    """
    return structlog.get_logger(source=name)
