"""
One request, seen from the door to the last consumer: by its correlation id in every log, and by its trace.
"""

import io
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import ClassVar

import httpx
import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from deploy.composition import traces
from shared.clock import SystemClock
from shared.contracts.base import Contract, Event, Operation
from shared.errors import Rejected, RejectedElsewhere, Unavailable
from shared.http import CorrelationMiddleware, TraceMiddleware
from shared.identifiers import Uuid7Source
from shared.messaging import Bus, Item
from shared.messaging.inprocess import InProcessBus
from shared.messaging.item import pack, unpack
from shared.messaging.observed import ObservedBus
from shared.telemetry import bind_correlation_id, configure_logs, correlation_id, get_logger
from shared.telemetry.figures import Figures
from shared.telemetry.traces import span, start_traces, stop_traces, traceparent, wanted

NEW_ID = Uuid7Source(SystemClock())
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Question(Contract):
    number: int


class Answer(Contract):
    number: int


class SomethingHappened(Event):
    topic: ClassVar[str] = "alpha.something_happened.v1"
    number: int


DOUBLE = Operation("alpha.double_number", Question, Answer)


def an_item(correlation: str) -> Item:
    """As a relay makes it: long after the request, from what stands in the outbox."""
    data = SomethingHappened(number=1).model_dump_json()
    return Item(
        id=NEW_ID(),
        type=SomethingHappened.topic,
        source="alpha",
        time=SystemClock().now(),
        data=data,
        correlation_id=correlation,
    )


class House:
    """
    A door that asks alpha, whose event beta hears.
    """

    def __init__(self, bus: InProcessBus) -> None:
        self.figures = Figures()
        self.gateway, self.alpha, self.beta = (self._party(bus, name) for name in ("gateway", "alpha", "beta"))
        self.alpha.answer(DOUBLE, self._double)
        self.beta.subscribe(SomethingHappened.topic, self._hear)
        self.door = CorrelationMiddleware(TraceMiddleware(self._app))

    def _party(self, bus: InProcessBus, name: str) -> Bus:
        return ObservedBus(bus.party(name), party=name, figures=self.figures)

    async def _app(self, scope: dict, receive: object, send: object) -> None:
        if Request(scope).url.path == "/broken":
            raise Unavailable("Nguyễn Văn A cannot be reached")
        answer = await self.gateway.ask(DOUBLE, Question(number=21))
        await PlainTextResponse(str(answer.number))(scope, receive, send)

    async def _double(self, question: Question) -> Answer:
        get_logger("alpha").info("answering")
        assert all(await self.alpha.publish([an_item(correlation_id())]))
        return Answer(number=question.number * 2)

    async def _hear(self, item: Item) -> None:
        get_logger("beta").info("hearing")

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.door), base_url="http://axis.test")


@pytest.fixture
async def house() -> AsyncIterator[House]:
    bus = InProcessBus(clock=SystemClock(), new_id=NEW_ID)
    await bus.start()
    yield House(bus)
    await bus.close()


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    assert start_traces("test", exporter=exporter)
    yield exporter
    stop_traces()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    written = io.StringIO()
    configure_logs(stream=written)
    structlog.configure(cache_logger_on_first_use=False)  # else this stream would outlive the test
    yield written
    structlog.reset_defaults()


def by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


async def test_the_callers_id_stands_in_every_services_log_and_on_the_answer(house: House, log: io.StringIO) -> None:
    async with house.client() as client:
        answer = await client.get("/", headers={"X-Correlation-Id": "ticket-4711"})
    lines = {line["source"]: line for line in map(json.loads, log.getvalue().splitlines())}
    assert answer.headers["X-Correlation-Id"] == "ticket-4711"
    assert {name: line["correlation_id"] for name, line in lines.items()} == {
        "alpha": "ticket-4711",
        "beta": "ticket-4711",
    }


async def test_a_refusal_leaves_a_line_with_its_code_in_the_service_that_refused(
    house: House, log: io.StringIO
) -> None:
    async def refuse(_: Question) -> Answer:
        raise RejectedElsewhere("too-odd", "Nguyễn Văn A is odd")

    operation = Operation("beta.refuse_number", Question, Answer)
    house.beta.answer(operation, refuse)
    bind_correlation_id("ticket-4711")
    with pytest.raises(Rejected):
        await house.gateway.ask(operation, Question(number=1))
    [line] = [json.loads(line) for line in log.getvalue().splitlines()]
    assert (line["event"], line["code"], line["correlation_id"]) == ("ask refused", "too-odd", "ticket-4711")
    assert "Nguyễn" not in log.getvalue()


def test_a_process_shows_no_figure_that_it_does_not_know() -> None:
    told = Figures().text().decode()
    assert [line for line in told.splitlines() if line.startswith("axis_")] == []


async def test_a_caller_that_only_traces_gets_its_trace_id_as_correlation_id(house: House) -> None:
    async with house.client() as client:
        answer = await client.get("/", headers={"traceparent": CALLER})
    assert answer.headers["X-Correlation-Id"] == "0af7651916cd43dd8448eb211c80319c"


async def test_one_trace_holds_request_ask_answer_and_what_came_of_it(
    house: House, spans: InMemorySpanExporter
) -> None:
    async with house.client() as client:
        answer = await client.get("/")
    found = by_name(spans)
    request, ask = found["GET unmatched"], found["ask alpha.double_number"]
    answered, heard = found["alpha.double_number"], found["beta alpha.something_happened.v1"]
    assert {f"{span.context.trace_id:032x}" for span in found.values()} == {answer.headers["X-Correlation-Id"]}
    assert request.parent is None
    assert ask.parent.span_id == request.context.span_id
    assert answered.parent.span_id == ask.context.span_id
    # It went through an outbox, which keeps the correlation id only: the same trace, a beginning of its own.
    assert heard.parent is None
    assert request.attributes["http.response.status_code"] == 200


async def test_a_callers_trace_goes_on_here(house: House, spans: InMemorySpanExporter) -> None:
    async with house.client() as client:
        await client.get("/", headers={"traceparent": CALLER})
    request = by_name(spans)["GET unmatched"]
    assert f"{request.context.trace_id:032x}-{request.parent.span_id:016x}" in CALLER


async def test_a_trace_tells_the_kind_of_an_error_and_not_its_words(house: House, spans: InMemorySpanExporter) -> None:
    async with house.client() as client:
        with pytest.raises(Unavailable):
            await client.get("/broken")
    [made] = spans.get_finished_spans()
    assert made.status.description == "Unavailable"
    assert "Nguyễn" not in made.to_json()


async def test_the_bus_is_counted_by_how_it_ended(house: House) -> None:
    async with house.client() as client:
        await client.get("/")
    told = house.figures.registry.get_sample_value
    asked = {"party": "gateway", "operation": DOUBLE.name, "outcome": "done"}
    handled = {"party": "beta", "topic": SomethingHappened.topic, "outcome": "done"}
    assert told("axis_ask_seconds_count", asked) == 1
    assert told("axis_answer_seconds_count", {"operation": DOUBLE.name, "outcome": "done"}) == 1
    assert told("axis_event_seconds_count", handled) == 1
    assert told("axis_events_published_total", {"party": "alpha", "confirmed": "yes"}) == 1
    with pytest.raises(Unavailable):
        await house.gateway.ask(Operation("nobody.ask_this", Question, Answer), Question(number=1))
    lost = {"party": "gateway", "operation": "nobody.ask_this", "outcome": "unavailable"}
    assert told("axis_ask_seconds_count", lost) == 1


def test_an_item_of_before_traces_is_read_and_one_without_them_looks_as_before() -> None:
    item = an_item("request-0001")
    written = json.loads(pack([item]))
    assert "traceparent" not in written["items"][0]
    assert unpack(pack([item])) == [item]
    written["items"][0]["traceparent"] = CALLER
    written["items"][0]["of_a_later_release"] = {"anything": 1}
    assert unpack(json.dumps(written).encode())[0].traceparent == CALLER


@pytest.mark.parametrize(
    ("environment", "on"),
    [
        ({}, False),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, True),
    ],
)
def test_the_standard_variables_decide(environment: dict[str, str], on: bool) -> None:
    assert wanted(environment) is on


def test_without_the_variables_nothing_is_loaded() -> None:
    bind_correlation_id("request-0001")
    assert traceparent() == ""
    program = (
        "import sys; from shared.telemetry.traces import span, start_traces; import deploy.composition, gateway.app\n"
        "assert not start_traces('x')\n"
        "with span('x'): pass\n"
        "sys.exit(any(name.startswith('opentelemetry.sdk') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_wanting_traces_without_the_extra_is_said_with_its_remedy() -> None:
    program = (
        "import sys; sys.modules['opentelemetry.sdk.trace'] = None\n"
        "from deploy.composition import traces; from deploy.embedded.errors import NodeError\n"
        "try:\n    traces('x').__enter__()\nexcept NodeError as error:\n    print(error.remedy)"
    )
    environment = {"OTEL_TRACES_EXPORTER": "otlp", "PATH": ""}
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert "document-axis[otel]" in told.stdout


def test_spans_reach_a_collector_under_the_name_of_their_process(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        with traces("gateway"), span("GET /v1/inbox", kind="server"):
            pass
        server.shutdown()
    [(path, body)] = received
    assert path == "/v1/traces"
    assert b"axis-gateway" in body
