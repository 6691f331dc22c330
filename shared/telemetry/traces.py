"""
Traces, for those who have a collector.

Off, and not even imported, unless the standard variables `OTEL_…` ask for them and the extra `otel` is installed. A
trace has the correlation id of its request as trace id, so that the id in a log line finds the picture, and so that
what leaves an outbox long afterwards still belongs to it.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Literal

from shared.telemetry.correlation import correlation_id

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer

Kind = Literal["internal", "server", "client", "consumer"]

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_TRACEPARENT: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_OFF: Final[AbstractContextManager[None]] = nullcontext()

_provider: "TracerProvider | None" = None
_tracer: "Tracer | None" = None
_came_with: ContextVar[str] = ContextVar("traceparent", default="")


class TracesUnavailable(RuntimeError):
    """
    The variables ask for traces and the extra is not installed.
    """


def wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """
    Tell whether the standard variables ask for traces.

    Source:
        OpenTelemetry specification, environment variables; `OTEL_TRACES_EXPORTER` knows `otlp` and `none` here.
    """
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").lower()
    return exporter == "otlp" or (exporter != "none" and any(environment.get(name) for name in _ENDPOINTS))


def start_traces(process: str, *, exporter: "SpanExporter | None" = None) -> bool:
    """
    Begin to trace, if that is wanted; to be called once, before anything is composed.

    Args:
        process: What this process is called in the collector, unless `OTEL_SERVICE_NAME` says otherwise.
        exporter: Takes the spans, whatever the variables say; None: as they say.

    Raises:
        TracesUnavailable: They are wanted and the extra is missing.
    """
    if exporter is None and not wanted():
        return False
    try:
        from shared.telemetry.spans import make_provider  # noqa: PLC0415 - heavy, and an extra
    except ImportError as error:
        raise TracesUnavailable(
            "OTEL_… asks for traces: pip install 'document-axis[otel]', or unset these variables"
        ) from error
    global _provider, _tracer  # noqa: PLW0603 - one per process, like the log
    _provider = make_provider(process, exporter)
    _tracer = _provider.get_tracer("document-axis")
    return True


def stop_traces() -> None:
    """
    Send what is left and end.
    """
    global _provider, _tracer  # noqa: PLW0603
    if _provider is not None:
        _provider.shutdown()
    _provider = _tracer = None


def tracing() -> bool:
    """
    Whether traces are on.
    """
    return _tracer is not None


def span(
    name: str, *, kind: Kind = "internal", parent: str = "", **attributes: str
) -> "AbstractContextManager[Span | None]":
    """
    Measure a block; does nothing when traces are off.

    Args:
        name: What is done: a route, an operation, a topic; never an identifier.
        kind: Which side of a conversation this is.
        parent: The traceparent that came from elsewhere; empty: what is under way here, or the correlation id.
        attributes: Codes and names of the house; nothing personal.
    """
    if _tracer is None:
        return _OFF
    return _span(_tracer, name, kind, parent, attributes)


@contextmanager
def _span(tracer: Any, name: str, kind: Kind, parent: str, attributes: dict[str, str]) -> Iterator["Span"]:
    from shared.telemetry.spans import KINDS, failed, remote  # noqa: PLC0415

    attributes["axis.correlation_id"] = correlation_id()
    # The text of an error may quote what was being handled, so only its kind is told.
    with tracer.start_as_current_span(
        name,
        context=remote(parent) if _TRACEPARENT.fullmatch(parent) else None,
        kind=KINDS[kind],
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except Exception as error:
            current.set_status(failed(type(error).__qualname__))
            raise


def traceparent() -> str:
    """
    What to send along so that the other side's spans hang below ours; empty when traces are off.
    """
    if _tracer is None:
        return ""
    from shared.telemetry.spans import current_traceparent  # noqa: PLC0415

    return current_traceparent()


def bind_traceparent(value: str) -> None:
    """
    Note what came along with the work of the current task.
    """
    _came_with.set(value)


def bound_traceparent() -> str:
    """
    What came along with the work at hand.
    """
    return _came_with.get()


def trace_id_of(value: str) -> str:
    """
    The trace id in a traceparent, if it is one.

    Source:
        W3C Trace Context, section 3.2.
    """
    match = _TRACEPARENT.fullmatch(value)
    return "" if match is None else match[1]
