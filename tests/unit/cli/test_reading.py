import json
from collections.abc import Callable
from io import StringIO
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr
from rich.console import Console
from typer.testing import Result

from deploy.cli.journey import lines_of
from deploy.cli.mailbox import arrivals
from deploy.cli.output import table
from shared.client import AxisClient, Credential
from shared.contracts.routing import JourneyEntry
from shared.testing.pki import MOMENT
from shared.testing.stand_in import URL, StandInNode

Axis = Callable[..., Result]
DOCUMENT = "01940000-0000-7000-8000-000000000001"


def an_item(number: int, **more: Any) -> dict[str, Any]:
    return {
        "delivery_id": str(UUID(int=number)),
        "document_id": DOCUMENT,
        "agency": "H43.31",
        "sender": "H43.31.01",
        "sender_document_id": "H43.31.01,2024/12/31,1/UBND",
        "subject": "Về việc [thử] nghiệm",
        "code": "1/UBND",
        "lane": 3,
        "state": "available",
        "series": 1,
        "packet_sha256": "0" * 64,
        "packet_bytes": 1,
        "attachments": 0,
        "accepted_at": "2024-12-31T03:00:00Z",
        "available_at": "2024-12-31T03:00:00Z",
    } | more


def test_a_mailbox_is_shown_with_identifiers_to_copy(axis: Axis, node: StandInNode) -> None:
    node.on("GET", "/v1/inbox", httpx.Response(200, json={"items": [an_item(7)]}))

    ran = axis("inbox")

    assert ran.exit_code == 0
    for part in (
        "hỏa tốc",
        "Về việc [thử] nghiệm",
        "đã vào hộp thư (available)",
        str(UUID(int=7)),
        "31/12/2024 10:00:00",
    ):
        assert part in ran.stdout


async def test_a_watch_gives_each_delivery_once_and_a_new_series_again(node: StandInNode) -> None:
    pages = [[an_item(1)], [an_item(1), an_item(2)], [an_item(2)], [an_item(2, series=2)]]
    node.on("GET", "/v1/inbox", *(httpx.Response(200, json={"items": page}) for page in pages))
    client = AxisClient(
        Credential(url=URL, system_id="s", secret=SecretStr("x")), http=httpx.MockTransport(node.handle)
    )

    came = arrivals(client, None)
    found = [await anext(came) for _ in range(3)]
    await came.aclose()

    assert [(one.delivery_id.int, one.series) for one in found] == [(1, 1), (2, 1), (2, 2)]


def test_a_journey_is_read_to_its_last_page(axis: Axis, node: StandInNode) -> None:
    accepted = {"at": "2024-12-31T03:00:00Z", "kind": "accepted"}
    status = {"at": "2024-12-31T04:00:00Z", "kind": "status", "agency": "H43.31", "code": "03"}
    head = {"document_id": DOCUMENT, "sender_document_id": "H43.31.01,2024/12/31,1/UBND"}
    node.on(
        "GET",
        f"/v1/documents/{DOCUMENT}/journey",
        httpx.Response(200, json={**head, "items": [accepted], "next_cursor": "c"}),
        httpx.Response(200, json={**head, "items": [status], "next_cursor": None}),
    )

    shown = axis("journey", DOCUMENT)

    assert shown.exit_code == 0
    assert "Trục tiếp nhận" in shown.stdout
    assert "Trạng thái 03 đã tiếp nhận" in shown.stdout
    assert node.requests[-1].url.params["cursor"] == "c"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"kind": "delivery", "to_state": "available"}, "Đã vào hộp thư (available)"),
        ({"kind": "delivery", "from_state": "fetched", "to_state": "delivered"}, "Đã nhận (fetched → delivered)"),
        (
            {"kind": "delivery", "from_state": "failed", "to_state": "queued", "series": 2, "code": "requeued"},
            "(failed → queued, lần 2, requeued)",
        ),
        ({"kind": "warning", "code": "addressee-doubled"}, "Lưu ý (warning addressee-doubled)"),
        ({"kind": "something-new"}, "something-new"),
    ],
)
def test_a_step_is_said_in_vietnamese_with_its_codes(entry: dict[str, Any], said: str) -> None:
    (line,) = lines_of(JourneyEntry(at=MOMENT, **entry))

    assert said in line
    assert "31/12/2024 10:00:00" in line


def test_queues_are_printed_for_scripts(axis: Axis, node: StandInNode) -> None:
    lane = {"lane": 4, "waiting": 2, "waiting_addressees": 700, "outstanding": 1}
    queues = {"lanes": [lane], "paused_agencies": [], "deliveries": {"available": 3}, "unopened": 700, "outbox": 0}
    node.on("GET", "/v1/admin/queues", lambda _: httpx.Response(200, json=queues))

    assert json.loads(axis("queues", "--json").stdout)["unopened"] == 700
    assert "hỏa tốc hẹn giờ" in axis("queues", "--once").stdout


def test_a_narrow_window_gets_a_paragraph_for_each_row_and_whole_words() -> None:
    rows = [(UUID(int=number), "Về việc [thử] nghiệm", "12/BC-UBND", None) for number in (1, 2)]
    shown = table("", ("Mã / Id", "Trích yếu / Subject", "Số / Code", "Ghi chú / Note"), rows)

    def printed(width: int) -> list[str]:
        out = StringIO()
        Console(width=width, file=out, color_system=None).print(shown)
        return [line.rstrip() for line in out.getvalue().splitlines()]

    assert [line.split()[0] for line in printed(100)] == ["Mã", "Id", *(str(row[0]) for row in rows)]
    assert printed(60) == [
        "Mã / Id: 00000000-0000-0000-0000-000000000001",
        "  Trích yếu / Subject: Về việc [thử] nghiệm · Số / Code:",
        "  12/BC-UBND",
        "Mã / Id: 00000000-0000-0000-0000-000000000002",
        "  Trích yếu / Subject: Về việc [thử] nghiệm · Số / Code:",
        "  12/BC-UBND",
    ]


def test_a_table_without_rows_says_so() -> None:
    out = StringIO()
    Console(width=80, file=out).print(table("", ("Mã / Id",), []))

    assert "Không có gì. / Nothing." in out.getvalue()


@pytest.mark.parametrize(
    "entry",
    [
        {"kind": "status", "code": "05", "detail": "Đang xử lý"},
        {"kind": "accepted", "detail": "H43.31.01,2024/12/31,1/UBND"},
    ],
)
def test_a_step_of_a_journey_says_nothing_twice(entry: dict[str, Any]) -> None:
    assert len(lines_of(JourneyEntry(at=MOMENT, **entry))) == 1
