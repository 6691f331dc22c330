import json
from html import escape
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import FastAPI
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateway.api.answers import problems
from gateway.pages.layout import prose, show
from shared.http import PROBLEM_MEDIA_TYPE

_FORM: Final = "application/x-www-form-urlencoded"
_TITLES: Final = {
    "access": "Truy cập · Access",
    "sending": "Gửi · Sending",
    "receiving": "Nhận · Receiving",
    "registry": "Danh bạ và đăng ký · Registry",
    "trust": "Tin cậy · Trust",
    "operating": "Vận hành · Operating",
    "registrar": "Quản trị danh bạ · Registrar",
    "node": "Nút · Node",
    "reference": "Tra cứu · Reference",
}


def add_reference_page(app: FastAPI) -> None:
    """
    Add the list of calls, made from the OpenAPI description.
    """

    @app.get(
        "/docs",
        tags=["reference"],
        summary="Every call, for people",
        response_class=HTMLResponse,
        responses=problems(),
    )
    async def show_reference() -> Response:
        return show(app.title, _render(app.openapi()))

    @app.get("/", include_in_schema=False)
    async def lead_to_reference() -> Response:
        return RedirectResponse("/docs")


def _render(openapi: dict[str, Any]) -> str:
    groups: dict[str, list[str]] = {}
    for path, methods in openapi["paths"].items():
        for method, call in methods.items():
            rendered = _render_call(path, method.upper(), call, openapi["components"]["schemas"])
            groups.setdefault(call["tags"][0], []).append(rendered)
    parts = [
        f"<h1>{escape(openapi['info']['title'])}</h1>",
        f"<p>{escape(openapi['info']['description'])}</p>",
        '<p><a href="/openapi.json">openapi.json</a> · <a href="/problems">Mã lỗi · Problem codes</a></p>',
        '<p><a href="/findings">Phát hiện trong gói tin · Findings in packets</a></p>',
    ]
    for tag, title in _TITLES.items():
        if calls := groups.get(tag):
            parts += [f"<h2>{escape(title)}</h2>", *calls]
    return "".join(parts)


def _render_call(path: str, method: str, call: dict[str, Any], schemas: dict[str, Any]) -> str:
    parameters = "".join(
        f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{escape(parameter['in'])}"
        f"{', bắt buộc · required' if parameter.get('required') else ''}</td>"
        f"<td>{prose(parameter.get('description', ''))}</td></tr>"
        for parameter in call.get("parameters", ())
    )
    statuses = " · ".join(f"{status} {_codes(answer)}".strip() for status, answer in sorted(call["responses"].items()))
    return (
        f"<h3><code>{method} {escape(path)}</code></h3><p>{prose(call.get('summary', ''))}</p>"
        f"{f'<table>{parameters}</table>' if parameters else ''}"
        f"{_body(call.get('requestBody', {}).get('content', {}), schemas)}{_answer(call['responses'], schemas)}"
        f"<p><small>{statuses}</small></p>"
    )


def _body(content: dict[str, Any], schemas: dict[str, Any]) -> str:
    if not content:
        return ""
    types = ", ".join(f"<code>{escape(media_type)}</code>" for media_type in content)
    shown = ""
    for example in _examples(next(iter(content.values())), schemas):
        shown += f"<pre>{escape(_written(example, is_form=_FORM in content))}</pre>"
    return f"<p>Nội dung gửi · Body: {types}</p>{shown}"


def _written(example: Any, *, is_form: bool) -> str:
    if isinstance(example, str):
        return example
    return urlencode(example) if is_form else json.dumps(example, ensure_ascii=False, indent=2)


def _examples(form: dict[str, Any], schemas: dict[str, Any]) -> list[Any]:
    if "example" in form:
        return [form["example"]]
    if "examples" in form:
        return [example["value"] for example in form["examples"].values()]
    examples: list[Any] = _named(form.get("schema", {}), schemas).get("examples", [])
    return examples


def _answer(responses: dict[str, Any], schemas: dict[str, Any]) -> str:
    good: dict[str, Any] = next((answer for status, answer in sorted(responses.items()) if status.startswith("2")), {})
    for media_type, form in good.get("content", {}).items():
        names = " ".join(
            f"<code>{escape(name)}</code>" for name in _named(form.get("schema", {}), schemas).get("properties", ())
        )
        return f"<p>Trả lời · Answer: <code>{escape(media_type)}</code>{f': {names}' if names else ''}</p>"
    return ""


def _named(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return found


def _codes(answer: dict[str, Any]) -> str:
    examples = answer.get("content", {}).get(PROBLEM_MEDIA_TYPE, {}).get("examples", {})
    return " ".join(f'<a href="/problems/{code}"><code>{code}</code></a>' for code in examples)
