from html import escape
from typing import Final

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.answers import problems
from gateway.errors import NotFound
from gateway.pages.either import AS_HTML, Either, Words, show_json, wants_html
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


class FindingPage(BaseModel):
    """
    What a finding in a packet means.
    """

    code: str
    grade: Grade
    what: Words
    change: Words


class FindingList(BaseModel):
    """
    Every kind of finding.
    """

    items: tuple[FindingPage, ...]


def add_finding_pages(app: FastAPI) -> None:
    """
    Add the list of what may be found in a packet, and a page for each.
    """

    @app.get(
        "/findings",
        tags=["reference"],
        summary="Everything that may be found in a packet",
        response_class=Either,
        response_model=FindingList,
        responses={**AS_HTML, **problems()},
    )
    async def list_findings(request: Request) -> Response:
        if not wants_html(request):
            return show_json(FindingList(items=tuple(_page(kind) for kind in FINDINGS.values())))
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
        response_class=Either,
        response_model=FindingPage,
        responses={**AS_HTML, **problems("not-found")},
    )
    async def show_finding(request: Request, finding: str) -> Response:
        kind = FINDINGS.get(finding)
        if kind is None:
            raise NotFound("there is no such finding")
        return show(kind.what.vi, _sections(kind)) if wants_html(request) else show_json(_page(kind))


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
        what=Words(**kind.what._asdict()),
        change=Words(**kind.change._asdict()),
    )
