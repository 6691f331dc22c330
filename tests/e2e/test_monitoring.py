"""
What the dashboard draws and the rules judge is what a running node tells.
"""

import asyncio
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import yaml

from deploy.embedded.echo import ways_to
from deploy.embedded.home import Home, init_home
from deploy.embedded.node import Node
from deploy.embedded.systems import import_table
from services.signing.errors import DevelopmentModeWarning

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy/monitoring/dashboard.json").read_text(encoding="utf-8"))
RULES_FILE = ROOT / "deploy/monitoring/alerts.yaml"
RULES = [rule for group in yaml.safe_load(RULES_FILE.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
FIGURE = re.compile(r"\b(?:axis|process)_[a-z0-9_]+\b")
SELECTOR = re.compile(r"\b((?:axis|process)_[a-z0-9_]+)\{([^}]*)\}")
GROUPING = re.compile(r"(?:by|on) \(([a-z, ]+)\)")
OF_PROMETHEUS = {"job", "instance", "le"}
"""Labels that a scrape adds, or that a histogram has by itself."""


def expressions() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def figures_in(expression: str) -> set[str]:
    return set(FIGURE.findall(re.sub(r'"[^"]*"', '""', expression)))


def family(name: str) -> str:
    return re.sub(r"_(bucket|count|sum|total)$", "", name)


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    folder = Path(tempfile.mkdtemp(prefix="axis-watch-"))
    folder.chmod(0o755)  # as root the server's account must get through
    init_home(folder / "node", node_id="H43", port=0, admin_port=0)
    yield Home(folder / "node")
    shutil.rmtree(folder, ignore_errors=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shown(home: Home) -> AsyncIterator[dict[str, str]]:
    """
    What both listeners of a running node show once every service has looked.
    """
    node = Node(home, passing=True)
    with pytest.warns(DevelopmentModeWarning):
        await node.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(node.stop)
        http = await stack.enter_async_context(httpx.AsyncClient())
        public = f"http://{node.config.host}:{node.config.port}"
        admin = f"http://127.0.0.1:{node.config.admin_port}"
        await http.post(f"{public}/v1/documents")
        assert (await http.get(f"{public}/health/ready")).status_code == 200
        ways = await stack.enter_async_context(ways_to(node))
        rows = await asyncio.to_thread((ROOT / "deploy/data/agencies-2024.csv").read_bytes)
        await import_table(ways.admin, rows, as_of="2024-12-31", level="central")
        while "axis_event_seconds_count{" not in (await http.get(f"{admin}/metrics")).text:
            await asyncio.sleep(0.05)
        while (text := (await http.get(f"{admin}/metrics")).text).count("axis_figures_looked_at_seconds{") < 5:
            await asyncio.sleep(0.05)
        yield {"admin": text, "public": (await http.get(f"{public}/metrics")).text}


@pytest.mark.asyncio(loop_scope="module")
async def test_every_figure_of_dashboard_and_rules_is_told_by_a_running_node(shown: dict[str, str]) -> None:
    told = {family(name) for name in re.findall(r"^# TYPE (\S+) ", shown["admin"], re.MULTILINE)}
    unknown = {
        (where, name)
        for where, expression in expressions()
        for name in figures_in(expression)
        if family(name) not in told
    }
    assert unknown == set()


@pytest.mark.asyncio(loop_scope="module")
async def test_every_label_asked_for_is_one_that_the_figure_has(shown: dict[str, str]) -> None:
    labels: dict[str, set[str]] = {}
    for name, inside in re.findall(r"^([a-z0-9_]+)\{([^}]*)\}", shown["admin"], re.MULTILINE):
        labels.setdefault(family(name), set()).update(re.findall(r"([a-z_]+)=", inside))
    wrong = set()
    for where, expression in expressions():
        for name, inside in SELECTOR.findall(expression):
            for label in set(re.findall(r"([a-z_]+)\s*[=!]", inside)) - OF_PROMETHEUS:
                if family(name) in labels and label not in labels[family(name)]:
                    wrong.add((where, name, label))
        known = set().union(*(labels.get(family(name), set()) for name in figures_in(expression))) | OF_PROMETHEUS
        for names in GROUPING.findall(expression):
            wrong |= {(where, "by", name.strip()) for name in names.split(",") if name.strip() not in known}
    assert wrong == set()


@pytest.mark.asyncio(loop_scope="module")
async def test_symptoms_are_told_by_service_and_lane(shown: dict[str, str]) -> None:
    for line in (
        'axis_lane_oldest_seconds{lane="4"} 0.0',
        'axis_outbox_oldest_seconds{lane="0",service="delivery"} 0.0',
        'axis_dead_messages{service="audit"} 0.0',
        "axis_deliveries_failed 0.0",
        'axis_gateway_public_requests_total{method="POST",route="/v1/documents",status="401"} 1.0',
    ):
        assert line in shown["admin"], line
    for name in ("axis_certificate_days_left", "axis_revocation_list_hours_left", "axis_blob_free_bytes"):
        value = re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", shown["admin"], re.MULTILINE)
        assert value is not None, name
        assert float(value[1]) > 0


@pytest.mark.asyncio(loop_scope="module")
async def test_strangers_are_told_nothing_of_the_inside(shown: dict[str, str]) -> None:
    told = set(re.findall(r"^# TYPE (\S+) ", shown["public"], re.MULTILINE))
    assert told == {"axis_gateway_public_requests_total", "axis_gateway_public_request_seconds"}


def test_the_rules_have_the_form_that_prometheus_reads() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))
    for rule in RULES:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert re.fullmatch(r"[0-9]+[smh]", rule.get("for", "1m"))
        assert rule["expr"].count("(") == rule["expr"].count(")")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian package prometheus) is not installed")
def test_promtool_accepts_the_rules() -> None:
    checked = subprocess.run(["promtool", "check", "rules", RULES_FILE], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_speaks_vietnamese_first_and_leads_to_what_to_do(rule: dict[str, Any]) -> None:
    assert list(rule["annotations"]) == ["summary", "description", "runbook"]
    assert not rule["annotations"]["summary"].isascii()
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^### (.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor in {heading.lower() for heading in headings}


def test_no_runbook_is_left_over() -> None:
    headings = re.findall(r"^### (.+)$", (ROOT / "docs/howto/watch.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == [rule["alert"] for rule in RULES]


def test_the_dashboard_has_the_form_that_grafana_reads() -> None:
    assert DASHBOARD["schemaVersion"] >= 39
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    for panel in PANELS:
        assert panel["type"] in {"timeseries", "stat"}
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
    assert [one["name"] for one in DASHBOARD["templating"]["list"] if one["type"] == "datasource"] == ["datasource"]
