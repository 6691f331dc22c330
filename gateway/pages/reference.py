from html import escape
from typing import Any, Final

from fastapi import FastAPI
from starlette.responses import HTMLResponse, Response

from gateway.api.answers import problems
from gateway.pages.layout import show
from shared.http import PROBLEM_MEDIA_TYPE

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


def _render(openapi: dict[str, Any]) -> str:
    groups: dict[str, list[str]] = {}
    for path, methods in openapi["paths"].items():
        for method, call in methods.items():
            groups.setdefault(call["tags"][0], []).append(_render_call(path, method.upper(), call))
    parts = [
        f"<h1>{escape(openapi['info']['title'])}</h1>",
        f"<p>{escape(openapi['info']['description'])}</p>",
        '<p><a href="/openapi.json">openapi.json</a> · <a href="/problems">Mã lỗi · Problem codes</a></p>',
    ]
    for tag, title in _TITLES.items():
        if calls := groups.get(tag):
            parts += [f"<h2>{escape(title)}</h2>", *calls]
    return "".join(parts)


def _render_call(path: str, method: str, call: dict[str, Any]) -> str:
    parameters = "".join(
        f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{escape(parameter['in'])}"
        f"{', bắt buộc · required' if parameter.get('required') else ''}</td>"
        f"<td>{escape(parameter.get('description', ''))}</td></tr>"
        for parameter in call.get("parameters", ())
    )
    statuses = " · ".join(f"{status} {_codes(answer)}".strip() for status, answer in sorted(call["responses"].items()))
    return (
        f"<h3><code>{method} {escape(path)}</code></h3><p>{escape(call.get('summary', ''))}</p>"
        f"{f'<table>{parameters}</table>' if parameters else ''}<p><small>{statuses}</small></p>"
    )


def _codes(answer: dict[str, Any]) -> str:
    examples = answer.get("content", {}).get(PROBLEM_MEDIA_TYPE, {}).get("examples", {})
    return " ".join(f'<a href="/problems/{code}"><code>{code}</code></a>' for code in examples)
