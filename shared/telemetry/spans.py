"""The part of tracing that needs the extra `otel`; imported only when traces are on."""

import os
import re
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanKind, Status, StatusCode, format_span_id, format_trace_id, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.telemetry.correlation import correlation_id

KINDS: Final = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "consumer": SpanKind.CONSUMER,
}
_TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")
_propagator = TraceContextTextMapPropagator()


class _Ids(RandomIdGenerator):
    """Takes the correlation id as trace id where nothing came along."""

    def generate_trace_id(self) -> int:
        current = correlation_id()
        return int(current, 16) if _TRACE_ID.fullmatch(current) else super().generate_trace_id()


def make_provider(process: str, exporter: SpanExporter | None) -> TracerProvider:
    """
    Build what makes and sends spans; the library reads the other standard variables itself.
    """
    # What is given here would win over OTEL_SERVICE_NAME, which is the operator's word.
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: f"axis-{process}"}
    provider = TracerProvider(resource=Resource.create(named), id_generator=_Ids(), shutdown_on_exit=False)
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter()) if exporter is None else SimpleSpanProcessor(exporter)
    )
    return provider


def remote(traceparent: str) -> Context:
    """
    Read what came from elsewhere.
    """
    return _propagator.extract({"traceparent": traceparent}, context=Context())


def current_traceparent() -> str:
    """
    Write the span at hand as it travels.
    """
    at_hand = get_current_span().get_span_context()
    if not at_hand.is_valid:
        return ""
    return f"00-{format_trace_id(at_hand.trace_id)}-{format_span_id(at_hand.span_id)}-{at_hand.trace_flags:02x}"


def failed(kind: str) -> Status:
    """
    Say that something was raised, and of what kind.
    """
    return Status(StatusCode.ERROR, kind)
