import json
from collections.abc import Callable
from pathlib import Path

import httpx
from typer.testing import Result

from deploy.cli.errors import ExitCode
from shared.testing.stand_in import StandInNode, a_problem

Axis = Callable[..., Result]
DELIVERY = "01940000-0000-7000-8000-000000000003"
DOCUMENTS = ("POST", "/v1/documents")


def test_a_document_accepted_is_done(axis: Axis, node: StandInNode, tmp_path: Path) -> None:
    from shared.testing.stand_in import PACKET

    (tmp_path / "packet.edxml").write_bytes(PACKET)
    node.on(*DOCUMENTS, node.accepts(node.receipt()))

    ran = axis("send", tmp_path / "packet.edxml", "--json")

    assert ran.exit_code == ExitCode.DONE
    assert json.loads(ran.stdout)["created"] is True


def test_a_refusal_says_everything_that_helps(axis: Axis, node: StandInNode, tmp_path: Path) -> None:
    (tmp_path / "packet.edxml").write_bytes(b"x")
    found = [{"pointer": "/edXML/Subject", "code": "element-missing", "detail": "Thiếu trích yếu", "line": 4}]
    node.on(*DOCUMENTS, a_problem(422, "packet-invalid", errors=found, remedy="Sửa rồi gửi lại"))

    ran = axis("send", tmp_path / "packet.edxml")

    assert ran.exit_code == ExitCode.REFUSED
    for part in (
        "Title",
        "Detail",
        "/edXML/Subject",
        "4",
        "Thiếu trích yếu",
        "Sửa rồi gửi lại",
        "packet-invalid",
        "c-1",
    ):
        assert part in ran.stderr


def test_a_node_that_is_not_running_is_said_to_be_so(axis: Axis, node: StandInNode, home: Path) -> None:
    node.on("POST", "/oauth2/token", httpx.ConnectError("All connection attempts failed"))
    path = home / "admin-credential.json"
    path.write_text(path.read_text().replace("http://admin.test", "http://127.0.0.1:8081"))

    ran = axis("queues", "--once")

    assert ran.exit_code == ExitCode.LATER
    assert "axis run" in ran.stderr


def test_a_node_that_cannot_now_is_to_be_tried_again(axis: Axis, node: StandInNode) -> None:
    node.on("GET", "/v1/inbox", lambda _: a_problem(503, "unavailable", retry_after=1))

    ran = axis("inbox")

    assert ran.exit_code == ExitCode.LATER
    assert "Thử lại sau 1 giây" in ran.stderr


def test_a_receipt_that_is_none_is_not_a_success(axis: Axis, node: StandInNode, tmp_path: Path) -> None:
    (tmp_path / "packet.edxml").write_bytes(b"other bytes")
    node.on(*DOCUMENTS, node.accepts(node.receipt()))

    assert axis("send", tmp_path / "packet.edxml").exit_code == ExitCode.LATER


def test_a_wrong_call_is_told_apart(axis: Axis, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7")

    assert axis("send", tmp_path / "missing.edxml").exit_code == ExitCode.USAGE
    assert axis("send", tmp_path / "a.pdf", tmp_path / "a.pdf").exit_code == ExitCode.USAGE
    assert axis("register", "--url", "http://node.test").exit_code == ExitCode.USAGE


def test_a_credential_others_may_read_is_a_local_matter(axis: Axis, credential: Path) -> None:
    credential.chmod(0o644)

    ran = axis("inbox")

    assert ran.exit_code == ExitCode.LOCAL
    assert "chmod 600" in ran.stderr


def test_a_folder_without_an_administrator_is_a_local_matter(axis: Axis, tmp_path: Path) -> None:
    ran = axis("--home", tmp_path / "elsewhere", "systems", "list")

    assert ran.exit_code == ExitCode.LOCAL
    assert "--home" in ran.stderr


def test_a_requeue_that_failed_for_one_is_refused(axis: Axis, node: StandInNode) -> None:
    result = {"delivery_id": DELIVERY, "state": None, "code": "not-found", "detail": "none"}
    node.on("POST", "/v1/admin/failed/requeue", httpx.Response(200, json={"items": [result]}))

    ran = axis("failed", "requeue", DELIVERY, "--reason", "đã sửa")

    (request,) = node.called("POST", "/v1/admin/failed/requeue")
    assert ran.exit_code == ExitCode.REFUSED
    assert json.loads(request.content) == {"delivery_ids": [DELIVERY], "reason": "đã sửa"}


def test_an_import_sends_the_table_and_its_choice(axis: Axis, node: StandInNode, tmp_path: Path) -> None:
    report = {
        "added": 2,
        "changed": 0,
        "unchanged": 0,
        "passed_over": 1,
        "version": 3,
        "dry_run": True,
        "errors": [{"line": 4, "code": "bad-date", "detail": "no date"}],
    }
    node.on("POST", "/v1/admin/agencies/import", httpx.Response(200, json=report))
    (tmp_path / "agencies.csv").write_text("code,name\n", encoding="utf-8")

    ran = axis(
        "agencies",
        "import",
        tmp_path / "agencies.csv",
        "--as-of",
        "2024-12-31",
        "--under",
        "H43",
        "--under",
        "H01",
        "--level",
        "central",
        "--dry-run",
    )

    (request,) = node.called("POST", "/v1/admin/agencies/import")
    assert ran.exit_code == ExitCode.REFUSED
    assert "bad-date" in ran.stdout
    assert request.content == b"code,name\n"
    assert request.headers["Content-Type"].startswith("text/csv")
    assert request.url.params.multi_items() == [
        ("as_of", "2024-12-31"),
        ("under", "H43"),
        ("under", "H01"),
        ("level", "central"),
        ("dry_run", "true"),
    ]


def test_a_lane_is_paused_by_its_name_and_an_agency_by_its_code(axis: Axis, node: StandInNode) -> None:
    queues = {"lanes": [], "paused_agencies": [], "deliveries": {}, "unopened": 0, "outbox": 0}
    node.on("POST", "/v1/admin/lanes/3/pause", httpx.Response(200, json=queues))
    node.on("POST", "/v1/admin/agencies/H43.31/resume", httpx.Response(200, json=queues))

    paused = axis("queues", "pause", "hoa-toc", "--reason", "Bảo trì", "--until", "2025-01-02T08:00")
    resumed = axis("queues", "resume", "H43.31")

    assert (paused.exit_code, resumed.exit_code) == (0, 0)
    (request,) = node.called("POST", "/v1/admin/lanes/3/pause")
    assert json.loads(request.content) == {"reason": "Bảo trì", "until": "2025-01-02T08:00:00+07:00"}
