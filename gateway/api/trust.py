"""What one needs to check us."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import FastAPI, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.answers import problems, write_cacheable, write_json
from gateway.api.context import Context
from gateway.api.route import MAX_NUMBER
from gateway.errors import RequestInvalid
from shared.contracts.audit import (
    READ_CONSISTENCY,
    READ_INCLUSION,
    READ_TREE_HEAD,
    Consistency,
    Inclusion,
    ReadConsistency,
    ReadInclusion,
    ReadTreeHead,
    TreeHead,
)
from shared.contracts.base import Nothing
from shared.contracts.signing import READ_KEYS

Number = Annotated[int | None, Query(ge=0, le=MAX_NUMBER)]
Size = Annotated[int | None, Query(ge=1, le=MAX_NUMBER)]


class JwkSet(BaseModel):
    """
    Public keys (RFC 7517): those of access tokens and, with `x5c`, those of receipts, evidence and tree heads.
    """

    keys: tuple[dict[str, Any], ...]


class PemResponse(Response):
    """
    Certificates one after another.
    """

    media_type = "application/x-pem-file"


def add_trust(app: FastAPI, context: Context) -> None:
    """
    Add keys, anchors, tree heads and proofs.
    """

    @app.get(
        "/v1/trust/jwks.json",
        tags=["trust"],
        summary="Public keys of this node",
        response_model=JwkSet,
        responses=problems(),
    )
    async def read_keys(request: Request) -> Response:
        keys = await context.bus.ask(READ_KEYS, Nothing())
        found = {str(key.get("kid")): key for jwks in (keys.token_keys, keys.evidence_keys) for key in jwks["keys"]}
        return write_cacheable(request, JwkSet(keys=tuple(found.values())).model_dump_json(), max_age_seconds=60)

    @app.get(
        "/v1/trust/anchors",
        tags=["trust"],
        summary="Root certificates, PEM",
        response_class=PemResponse,
        responses=problems(),
    )
    async def read_anchors(request: Request) -> Response:
        keys = await context.bus.ask(READ_KEYS, Nothing())
        return write_cacheable(request, "".join(keys.anchors), media_type=PemResponse.media_type, max_age_seconds=60)

    @app.get(
        "/v1/trust/revocation-lists",
        tags=["trust"],
        summary="Current revocation lists, PEM",
        response_class=PemResponse,
        responses=problems(),
    )
    async def read_revocation_lists(request: Request) -> Response:
        keys = await context.bus.ask(READ_KEYS, Nothing())
        return write_cacheable(request, "".join(keys.revocation_lists), media_type=PemResponse.media_type)

    @app.get(
        "/v1/trust/tree-head",
        tags=["trust"],
        summary="Newest signed tree head of the journal, or that of a size",
        response_model=TreeHead,
        responses=problems("not-found"),
    )
    async def read_tree_head(tree_size: Number = None) -> Response:
        return write_json(await context.bus.ask(READ_TREE_HEAD, ReadTreeHead(tree_size=tree_size)))

    @app.get(
        "/v1/trust/proofs/inclusion",
        tags=["trust"],
        summary="Proof that an event is in the journal",
        response_model=Inclusion,
        responses=problems("not-found"),
    )
    async def read_inclusion(
        event_id: UUID | None = None, leaf_index: Number = None, tree_size: Size = None
    ) -> Response:
        if (event_id is None) == (leaf_index is None):
            raise RequestInvalid("name either event_id or leaf_index")
        question = ReadInclusion(event_id=event_id, leaf_index=leaf_index, tree_size=tree_size)
        return write_json(await context.bus.ask(READ_INCLUSION, question))

    @app.get(
        "/v1/trust/proofs/consistency",
        tags=["trust"],
        summary="Proof that the journal was only appended to",
        response_model=Consistency,
        responses=problems("not-found"),
    )
    async def read_consistency(
        first: Annotated[int, Query(ge=1, le=MAX_NUMBER)], second: Annotated[int, Query(ge=1, le=MAX_NUMBER)]
    ) -> Response:
        return write_json(await context.bus.ask(READ_CONSISTENCY, ReadConsistency(first=first, second=second)))
