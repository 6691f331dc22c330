"""The directory of agencies, open to all who reach this node."""

from typing import Annotated

from fastapi import FastAPI, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.answers import problems, write_cacheable
from gateway.api.context import Context
from gateway.api.moments import GivenMoment
from gateway.api.route import AgencyCode, Cursor
from shared.contracts.registry import (
    LIST_AGENCIES,
    READ_AGENCY,
    AgencyEntry,
    AgencyPage,
    ListAgencies,
    ReadAgency,
)

At = Annotated[GivenMoment | None, Query(description="As of this moment; none: now.")]


def add_agencies(app: FastAPI, context: Context) -> None:
    """
    Add the directory.
    """

    @app.get(
        "/v1/agencies",
        tags=["registry"],
        summary="Find agencies by name, level or parent",
        response_model=AgencyPage,
        responses=problems("cursor-invalid"),
    )
    async def list_agencies(
        request: Request,
        query: Annotated[str, Query(max_length=200, description="Accents, case and đ are ignored.")] = "",
        level: Annotated[str | None, Query(max_length=20)] = None,
        parent: Annotated[AgencyCode | None, Query()] = None,
        at: At = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        cursor: Cursor = None,
    ) -> Response:
        question = ListAgencies(query=query, level=level, parent=parent, at=at, limit=limit, cursor=cursor)
        page = await context.bus.ask(LIST_AGENCIES, question)
        return write_cacheable(request, page.model_dump_json())

    @app.get(
        "/v1/agencies/{code}",
        tags=["registry"],
        summary="One agency, by either form of its identifier",
        response_model=AgencyEntry,
        responses=problems("not-found"),
    )
    async def read_agency(request: Request, code: Annotated[AgencyCode, Path()], at: At = None) -> Response:
        entry = await context.bus.ask(READ_AGENCY, ReadAgency(code=code, at=at))
        return write_cacheable(request, entry.model_dump_json())
