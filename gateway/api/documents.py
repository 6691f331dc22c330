"""Sending: documents, their receipts and journeys."""

from datetime import timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import FastAPI, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.answers import SIGNED_IN, problems, write_json
from gateway.api.building import receive_document
from gateway.api.context import Context
from gateway.api.examples import PACKET_OR_FORM
from gateway.api.route import AccessToken, AgencyCode, Cursor, IdempotencyKey, Priority
from shared.contracts.base import Lane, Moment
from shared.contracts.routing import (
    LIST_DOCUMENTS,
    READ_DOCUMENT,
    READ_JOURNEY,
    READ_RECEIPT,
    SUBMIT_DOCUMENT,
    DocumentPage,
    DocumentView,
    Journey,
    ListDocuments,
    ReadDocument,
    ReadReceipt,
    SubmitDocument,
)
from shared.errors import FieldError

BODY_PROBLEMS: Final = (
    "body-incomplete",
    "upload-too-slow",
    "too-many-uploads",
    "digest-mismatch",
    "length-required",
    "packet-too-large",
    "wrong-media-type",
    "storage-low",
)
_CONTENT_PROBLEMS: Final = (
    "packet-malformed",
    "packet-invalid",
    "document-id-missing",
    "addressees-refused",
    "secrecy-mark",
    "signature-missing",
    "signature-failed",
    "signer-not-bound",
)


class AcceptedDocument(BaseModel):
    """
    The answer to a submission; every repeat gets these very bytes.
    """

    document_id: UUID
    dispatch_id: UUID
    accepted_at: Moment
    packet_sha256: str
    addressees: tuple[Any, ...]
    warnings: tuple[FieldError, ...]
    receipt: str


class JoseResponse(Response):
    """
    A compact JWS.
    """

    media_type = "application/jose"


def add_documents(app: FastAPI, context: Context) -> None:
    """
    Add the routes of senders.
    """
    within = timedelta(seconds=context.settings.submit_seconds)

    @app.post(
        "/v1/documents",
        tags=["sending"],
        summary="Send a document",
        status_code=201,
        response_model=AcceptedDocument,
        responses={
            200: {"model": AcceptedDocument, "description": "Accepted before: the same answer, byte for byte."},
            **problems(
                *SIGNED_IN,
                "sender-not-yours",
                "agency-not-yours",
                *BODY_PROBLEMS,
                *_CONTENT_PROBLEMS,
                "document-id-reused",
                "idempotency-key-reused",
                "request-in-progress",
            ),
        },
        openapi_extra=PACKET_OR_FORM,
    )
    async def send_document(
        request: Request, token: AccessToken, priority: Priority = None, idempotency_key: IdempotencyKey = None
    ) -> Response:
        # Strangers could fill the disk with packets nobody will accept, so this one proof is checked at the door too.
        caller = await context.verifier.verify(token, "send")
        lane = priority or Lane.ORDINARY
        blob = await receive_document(request, context, caller, lane=lane)
        question = SubmitDocument(
            token=token,
            packet_sha256=blob.sha256,
            packet_bytes=blob.size_bytes,
            priority=priority,
            idempotency_key=idempotency_key,
        )
        submitted = await context.bus.ask(SUBMIT_DOCUMENT, question, lane=lane, within=within)
        return Response(
            submitted.body,
            status_code=201 if submitted.created else 200,
            media_type="application/json",
            headers={"Location": f"/v1/documents/{submitted.document_id}", "Cache-Control": "no-store"},
        )

    @app.get(
        "/v1/documents",
        tags=["sending"],
        summary="What my agencies sent",
        response_model=DocumentPage,
        responses=problems(*SIGNED_IN, "agency-not-yours", "cursor-invalid"),
    )
    async def list_documents(
        token: AccessToken,
        agency: Annotated[AgencyCode | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Cursor = None,
    ) -> Response:
        question = ListDocuments(token=token, agency=agency, limit=limit, cursor=cursor)
        return write_json(await context.bus.ask(LIST_DOCUMENTS, question))

    @app.get(
        "/v1/documents/{document_id}",
        tags=["sending"],
        summary="One document and its state at each addressee",
        response_model=DocumentView,
        responses=problems(*SIGNED_IN, "not-found", "cursor-invalid"),
    )
    async def read_document(
        document_id: UUID,
        token: AccessToken,
        limit: Annotated[int, Query(ge=1, le=500)] = 500,
        cursor: Cursor = None,
    ) -> Response:
        question = ReadDocument(token=token, document_id=document_id, limit=limit, cursor=cursor)
        return write_json(await context.bus.ask(READ_DOCUMENT, question))

    @app.get(
        "/v1/documents/{document_id}/receipt",
        tags=["sending"],
        summary="The receipt, a compact JWS",
        response_class=JoseResponse,
        responses=problems(*SIGNED_IN, "not-found"),
    )
    async def read_receipt(
        document_id: UUID,
        token: AccessToken,
        dispatch: Annotated[UUID | None, Query(description="Which dispatch; the first when none is named.")] = None,
    ) -> Response:
        question = ReadReceipt(token=token, document_id=document_id, dispatch_id=dispatch)
        receipt = await context.bus.ask(READ_RECEIPT, question)
        return JoseResponse(receipt.receipt, headers={"Cache-Control": "no-store"})

    @app.get(
        "/v1/documents/{document_id}/journey",
        tags=["sending"],
        summary="Everything that happened to a document",
        response_model=Journey,
        responses=problems(*SIGNED_IN, "not-found", "cursor-invalid"),
    )
    async def read_journey(
        document_id: UUID,
        token: AccessToken,
        limit: Annotated[int, Query(ge=1, le=500)] = 500,
        cursor: Cursor = None,
    ) -> Response:
        question = ReadDocument(token=token, document_id=document_id, limit=limit, cursor=cursor)
        return write_json(await context.bus.ask(READ_JOURNEY, question))
