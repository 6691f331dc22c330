import json
from html import escape

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from gateway.api.answers import problems
from gateway.api.context import Context
from gateway.errors import NotFound
from gateway.languages import Language
from gateway.pages.either import AS_HTML, Either, Words, show_json, wants_html
from gateway.pages.layout import prose, show
from gateway.problems import PROBLEMS, ProblemKind

_LABELS: dict[Language, dict[str, str]] = {
    "vi": {
        "what": "Chuyện gì đã xảy ra",
        "why": "Vì sao",
        "change": "Cần thay đổi gì",
        "retry": "Gửi lại y nguyên có ích không?",
        "yes": "Có, sau một lúc.",
        "no": "Không, kết quả sẽ như cũ.",
        "example": "Ví dụ",
        "all": "Mọi mã lỗi",
    },
    "en": {
        "what": "What happened",
        "why": "Why",
        "change": "What to change",
        "retry": "Does sending the same again help?",
        "yes": "Yes, after a while.",
        "no": "No, the answer will be the same.",
        "example": "Example",
        "all": "All problem codes",
    },
}


class ProblemPage(BaseModel):
    """
    What a kind of problem means.
    """

    code: str
    status: int
    title: Words
    what: Words
    why: Words
    change: Words
    retry: bool


class ProblemList(BaseModel):
    """
    Every kind of problem.
    """

    items: tuple[ProblemPage, ...]


def add_problem_pages(app: FastAPI, context: Context) -> None:
    """
    Add the list of problem codes, and a page for each.
    """

    @app.get(
        "/problems",
        tags=["reference"],
        summary="Every problem code",
        response_class=Either,
        response_model=ProblemList,
        responses={**AS_HTML, **problems()},
    )
    async def list_problems(request: Request) -> Response:
        if not wants_html(request):
            return show_json(ProblemList(items=tuple(_page(kind) for kind in PROBLEMS.values())))
        rows = "".join(
            f'<tr><td><a href="/problems/{kind.code}"><code>{kind.code}</code></a></td><td>{kind.status}</td>'
            f'<td>{escape(kind.title.vi)}<br><span lang="en">{escape(kind.title.en)}</span></td></tr>'
            for kind in sorted(PROBLEMS.values(), key=lambda kind: (kind.status, kind.code))
        )
        return show("Mã lỗi", f"<h1>Mã lỗi · Problem codes</h1><table>{rows}</table>")

    @app.get(
        "/problems/{code}",
        tags=["reference"],
        summary="What a problem code means and what to change",
        response_class=Either,
        response_model=ProblemPage,
        responses={**AS_HTML, **problems("not-found")},
    )
    async def show_problem(request: Request, code: str) -> Response:
        kind = PROBLEMS.get(code)
        if kind is None:
            raise NotFound("there is no such problem code")
        if not wants_html(request):
            return show_json(_page(kind))
        return _show(kind, context)


def _show(kind: ProblemKind, context: Context) -> HTMLResponse:
    sections = []
    languages: tuple[Language, ...] = ("vi", "en")
    for language in languages:
        labels = _LABELS[language]
        details = context.refusals.details(kind, language, kind.example, path="/v1/…")
        shown = json.loads(details.model_dump_json())
        shown["correlation_id"] = "3f2a9c0d7b1e4f5a8c6d0e9f1a2b3c4d"
        entries = "".join(
            f"<dt>{labels[name]}</dt><dd>{prose(text.in_language(language))}</dd>"
            for name, text in (("what", kind.what), ("why", kind.why), ("change", kind.change))
        )
        sections.append(
            f'<section lang="{language}"><h1>{escape(kind.title.in_language(language))}</h1>'
            f"<p><code>{kind.code}</code> · HTTP {kind.status}</p><dl>{entries}"
            f"<dt>{labels['retry']}</dt><dd>{labels['yes' if kind.retry else 'no']}</dd></dl>"
            f"<h2>{labels['example']}</h2>"
            f"<pre>{escape(json.dumps(shown, ensure_ascii=False, indent=2))}</pre>"
            f'<p><a href="/problems">{labels["all"]}</a></p></section>'
        )
    return show(kind.title.vi, "".join(sections))


def _page(kind: ProblemKind) -> ProblemPage:
    def words(text: tuple[str, str]) -> Words:
        return Words(vi=text[0], en=text[1])

    return ProblemPage(
        code=kind.code,
        status=kind.status,
        title=words(kind.title),
        what=words(kind.what),
        why=words(kind.why),
        change=words(kind.change),
        retry=kind.retry,
    )
