"""Structured logs: one JSON object a line, or coloured text for people at a terminal."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from shared.telemetry.correlation import correlation_id


def _add_correlation_id(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if current := correlation_id():
        event.setdefault("correlation_id", current)
    return event


def configure_logs(*, level: str = "INFO", stream: TextIO | None = None) -> None:
    """
    Set up logging once per process.

    Args:
        level: Lowest level written.
        stream: Where to; standard error when None. A terminal gets text, anything else JSON.
    """
    target = stream or sys.stderr
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
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(logging.getLevelName(level), logging.WARNING), stream=target)


def get_logger(name: str) -> Any:
    """
    A logger that names where the line comes from.
    """
    return structlog.get_logger(source=name)
