"""
What the reference promises is so: every example is taken, every answer is declared, and no input makes a 5xx.
"""

import asyncio
import json
import re
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.problems import PROBLEMS
from shared.http import PROBLEM_MEDIA_TYPE
from tests.services.gateway.world import ID, World, a_world

LISTENERS = ("public", "admin")
PATH_VALUES = {
    "finding": "not-xml",
    "code": "H43.30",
    "lane": "2",
    "n": "0",
    "service": "routing",
    "system_id": "sys",
    "sha256": "ab" * 32,
}
QUERY_VALUES = {"as_of": "2024-12-31", "first": "1", "second": "2", "event_id": str(ID), "leaf_index": None}
METHODS = ("get", "head", "post", "put", "delete")


def calls(openapi: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, call)
        for path, methods in openapi["paths"].items()
        for method, call in methods.items()
        if method in METHODS
    ]


def path_of(path: str, call: dict[str, Any], values: dict[str, str]) -> str:
    for parameter in call.get("parameters", ()):
        if parameter["in"] == "path":
            name = parameter["name"]
            value = values.get(name, "not-found" if path == "/problems/{code}" else PATH_VALUES.get(name, str(ID)))
            path = path.replace("{" + name + "}", quote(value, safe=""))
    return path


def examples_of(openapi: dict[str, Any], call: dict[str, Any]) -> list[tuple[str | None, bytes]]:
    found: list[tuple[str | None, bytes]] = []
    for media_type, content in call.get("requestBody", {}).get("content", {}).items():
        schema = content["schema"]
        for choice in (schema, *schema.get("anyOf", ())):
            if "$ref" in choice:
                schema = openapi["components"]["schemas"][choice["$ref"].rpartition("/")[2]]
        values = [*schema.get("examples", ()), *(entry["value"] for entry in content.get("examples", {}).values())]
        if "example" in content:
            values.append(content["example"])
        for value in values:
            if media_type == "application/json":
                found.append((media_type, json.dumps(value).encode()))
            elif isinstance(value, dict):
                found.append((media_type, urlencode(value).encode()))
            else:
                found.append((media_type, value.encode()))
        assert values, f"{call['operationId']} has no example of {media_type}"
    return found or [(None, b"")]


async def describe(world: World, listener: str) -> dict[str, Any]:
    async with world.client(getattr(world.gateway, listener)) as client:
        return (await client.get("/openapi.json")).json()


@pytest.mark.parametrize("listener", LISTENERS)
async def test_every_example_is_taken(tmp_path: Path, listener: str) -> None:
    async with a_world(tmp_path / "blobs") as world, world.client(getattr(world.gateway, listener)) as client:
        openapi = await describe(world, listener)
        for method, path, call in calls(openapi):
            query = {
                parameter["name"]: QUERY_VALUES[parameter["name"]]
                for parameter in call.get("parameters", ())
                if parameter["in"] == "query" and QUERY_VALUES.get(parameter["name"])
            }
            for media_type, body in examples_of(openapi, call):
                headers = world.signed_in(**({"Content-Type": media_type} if media_type else {}))
                if path == "/oauth2/token":
                    headers["Authorization"] = "Basic YTpi"
                url = path_of(path, call, {})
                answer = await client.request(method, url, params=query, content=body or None, headers=headers)
                # The bytes of a packet do not lie in this world's store; a missing file is its declared 503.
                assert answer.status_code < 300 or "packet" in path or "attachments" in path, (method, url, answer.text)
                assert str(answer.status_code) in call["responses"], (method, url, answer.status_code)


@pytest.mark.parametrize("listener", LISTENERS)
async def test_every_call_declares_its_problems_and_each_has_a_page(tmp_path: Path, listener: str) -> None:
    async with a_world(tmp_path / "blobs") as world, world.client(getattr(world.gateway, listener)) as client:
        openapi = await describe(world, listener)
        for _, path, call in calls(openapi):
            codes = {
                code
                for answer in call["responses"].values()
                for code in answer.get("content", {}).get(PROBLEM_MEDIA_TYPE, {}).get("examples", {})
            }
            assert codes <= set(PROBLEMS)
            assert "internal-error" in codes, path
            assert call["summary"], path
        for code in PROBLEMS:
            page = await client.get(f"/problems/{code}", headers={"Accept": "text/html"})
            assert page.status_code == 200
            assert code in page.text
        docs = await client.get("/docs")
        assert all(path in docs.text for path in openapi["paths"])
        assert not re.search(r'src=|href="(?!/)', docs.text), "a page takes nothing from elsewhere"


async def test_the_reference_shows_bodies_and_the_fields_of_answers(tmp_path: Path) -> None:
    async with a_world(tmp_path / "blobs") as world, world.client(world.gateway.public) as client:
        docs = await client.get("/docs")
    assert "grant_type=client_credentials" in docs.text
    assert "&quot;contact_email&quot;: " in docs.text
    assert "<code>claim_token</code>" in docs.text


@pytest.mark.parametrize("listener", LISTENERS)
async def test_the_description_refers_to_nothing_that_is_missing(tmp_path: Path, listener: str) -> None:
    async with a_world(tmp_path / "blobs") as world:
        openapi = await describe(world, listener)
    assert openapi["openapi"].startswith("3.1")
    names = openapi["components"]["schemas"]
    references = {piece.split('"')[0] for piece in json.dumps(openapi).split('"$ref": "#/components/schemas/')[1:]}
    assert references <= set(names)
    operations = [call["operationId"] for _, _, call in calls(openapi)]
    assert len(operations) == len(set(operations))


TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["", "0", "-1", "9" * 30, "1e400", "NaN", "null", "\0", "../..", "%00", "2024-13-45", str(ID)]),
    st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2024-12-31T08:00:00"]),
)
JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.text(alphabet="\ud800\0\u0110", max_size=3)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=10,
)


@pytest.mark.parametrize("listener", LISTENERS)
def test_no_input_makes_a_5xx(listener: str) -> None:
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        stack = a_world(Path(folder))
        world = runner.run(stack.__aenter__())
        openapi = runner.run(describe(world, listener))
        everything = calls(openapi)

        @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(data=st.data())
        def send(data: st.DataObject) -> None:
            method, path, call = data.draw(st.sampled_from(everything))
            parameters = call.get("parameters", ())
            values = {p["name"]: data.draw(TEXTS) or "x" for p in parameters if p["in"] == "path"}
            query = {p["name"]: data.draw(TEXTS) for p in parameters if p["in"] == "query" and data.draw(st.booleans())}
            body, media_type = draw_body(data, openapi, call)
            headers = {**world.signed_in(), **({"Content-Type": media_type} if media_type else {})}
            url = path_of(path, call, values if data.draw(st.booleans()) else {})
            target = httpx.URL(f"http://axis.test{url}?{urlencode(query, errors='replace')}")

            async def once() -> httpx.Response:
                async with world.client(getattr(world.gateway, listener)) as client:
                    return await client.request(method, target, content=body, headers=headers)

            answer = runner.run(once())
            assert answer.status_code < 500 or is_a_missing_file(answer), (method, url, answer.text)
            if answer.status_code >= 400 and method != "head":
                assert answer.headers["Content-Type"] in {PROBLEM_MEDIA_TYPE, "application/json"}
            if "/../" not in url and answer.status_code not in {404, 405}:
                assert str(answer.status_code) in call["responses"], (method, url, answer.status_code)

        try:
            send()
        finally:
            runner.run(stack.__aexit__(None, None, None))


def is_a_missing_file(answer: httpx.Response) -> bool:
    return answer.status_code == 503 and answer.json()["code"] == "blob-missing"


def draw_body(data: st.DataObject, openapi: dict[str, Any], call: dict[str, Any]) -> tuple[bytes | None, str | None]:
    contents = call.get("requestBody", {}).get("content", {})
    if not contents:
        return None, None
    media_type, example = data.draw(st.sampled_from(examples_of(openapi, call)))
    if media_type != "application/json" or data.draw(st.integers(0, 4)) == 0:
        return data.draw(st.one_of(st.binary(max_size=200), st.just(example))), media_type
    value: Any = json.loads(example)
    if isinstance(value, dict) and data.draw(st.booleans()):
        value[data.draw(st.sampled_from(sorted(value)))] = data.draw(JSON)
    else:
        value = data.draw(JSON)
    return json.dumps(value).encode(), media_type
