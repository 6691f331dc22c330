"""Pages that are HTML for people and JSON for programs."""

from typing import Any, Final

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

AS_HTML: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/html": {"schema": {"type": "string"}}}},
}
"""What the reference says of such a page besides its model."""


class Either(Response):
    """
    HTML or JSON.
    """

    media_type = None


class Words(BaseModel):
    """
    The same in both languages.
    """

    vi: str
    en: str


def wants_html(request: Request) -> bool:
    """
    Tell people from programs.
    """
    return "text/html" in request.headers.get("accept", "").lower()


def show_json(model: BaseModel) -> Response:
    """
    Make the page for programs.
    """
    return JSONResponse(model.model_dump(), headers={"Cache-Control": "public, max-age=300", "Vary": "Accept"})
