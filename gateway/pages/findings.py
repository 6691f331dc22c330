from html import escape
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.api.answers import problems
from gateway.errors import NotFound
from gateway.pages.layout import prose, show
from gateway.problems import FINDINGS, FindingKind, Text
from gateway.problems.findings import Grade

_GRADES: Final[dict[Grade, Text]] = {
    "error": Text("lỗi: gói tin bị từ chối", "error: the packet is refused"),
    "warning": Text(
        "cảnh báo: gói tin vẫn được nhận; ghi trong biên nhận và hành trình",
        "warning: the packet is taken; it stands in the receipt and in the journey",
    ),
}


class Sentence(BaseModel):
    """
    The same in both languages.
    """

    vi: str
    en: str


class FindingPage(BaseModel):
    """
    What a finding in a packet means.
    """

    code: str
    grade: Grade
    what: Sentence
    change: Sentence


class FindingList(BaseModel):
    """
    Every kind of finding.
    """

    items: tuple[FindingPage, ...]


class _Either(Response):
    """HTML for people, JSON for programs."""

    media_type = None


def add_finding_pages(app: FastAPI) -> None:
    """
    Add the list of what may be found in a packet, and a page for each.
    """
    as_html: dict[int | str, dict[str, Any]] = {200: {"content": {"text/html": {"schema": {"type": "string"}}}}}

    @app.get(
        "/findings",
        tags=["reference"],
        summary="Everything that may be found in a packet",
        response_class=_Either,
        response_model=FindingList,
        responses={**as_html, **problems()},
    )
    async def list_findings(request: Request) -> Response:
        if not _wants_html(request):
            return _json(FindingList(items=tuple(_page(kind) for kind in FINDINGS.values())))
        rows = "".join(
            f'<tr><td><a href="/findings/{kind.code}"><code>{kind.code}</code></a></td><td>{kind.grade}</td>'
            f'<td>{escape(kind.what.vi)}<br><span lang="en">{escape(kind.what.en)}</span></td></tr>'
            for kind in sorted(FINDINGS.values(), key=lambda kind: (kind.grade, kind.code))
        )
        return show("Phát hiện", f"<h1>Phát hiện trong gói tin · Findings in packets</h1><table>{rows}</table>")

    @app.get(
        "/findings/{finding}",
        tags=["reference"],
        summary="What a finding in a packet means and what to change",
        response_class=_Either,
        response_model=FindingPage,
        responses={**as_html, **problems("not-found")},
    )
    async def show_finding(request: Request, finding: str) -> Response:
        kind = FINDINGS.get(finding)
        if kind is None:
            raise NotFound("there is no such finding")
        return show(kind.what.vi, _sections(kind)) if _wants_html(request) else _json(_page(kind))


def _sections(kind: FindingKind) -> str:
    grade = _GRADES[kind.grade]
    return "".join(
        f'<section lang="{language}"><h1>{prose(what)}</h1><p><code>{kind.code}</code> · {grade}</p>'
        f"<dl><dt>{label}</dt><dd>{prose(change)}</dd></dl>"
        f'<p><a href="/findings">{everything}</a></p></section>'
        for language, what, grade, label, change, everything in (
            ("vi", kind.what.vi, grade.vi, "Cần thay đổi gì", kind.change.vi, "Mọi phát hiện"),
            ("en", kind.what.en, grade.en, "What to change", kind.change.en, "All findings"),
        )
    )


def _page(kind: FindingKind) -> FindingPage:
    return FindingPage(
        code=kind.code,
        grade=kind.grade,
        what=Sentence(**kind.what._asdict()),
        change=Sentence(**kind.change._asdict()),
    )


def _json(model: BaseModel) -> Response:
    return JSONResponse(model.model_dump(), headers={"Cache-Control": "public, max-age=300", "Vary": "Accept"})


def _wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "").lower()
