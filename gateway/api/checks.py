"""The checks of sending without sending, and the form in which packets may be sent."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.answers import SIGNED_IN, problems, write_cacheable, write_json
from gateway.api.bodies import receive_packet
from gateway.api.building import receive_document
from gateway.api.context import Context
from gateway.api.documents import BODY_PROBLEMS
from gateway.api.examples import PACKET_BODY, PACKET_OR_FORM
from gateway.api.route import AccessToken
from shared.blobs import StoredBlob
from shared.contracts.routing import VALIDATE_PACKET, VERIFY_PACKET, CheckPacket, PacketFindings
from shared.contracts.signing import Indication, VerificationReport
from shared.edxml import DocumentIdMissing, PacketInvalid, form_schema
from shared.tokens import Caller

_Receive = Callable[[Request, Context, Caller], Awaitable[StoredBlob]]
_SCHEMA: Final = json.dumps(form_schema(), ensure_ascii=False)


class Verification(VerificationReport):
    """
    What was found about the signatures of a packet; `overall` is the weakest answer, null without any signature.
    """

    overall: Indication | None = None


class SchemaResponse(Response):
    """
    A JSON Schema.
    """

    media_type = "application/schema+json"


def add_checks(app: FastAPI, context: Context) -> None:
    """
    Add what checks packets, and the schema of their JSON form.
    """
    within = timedelta(seconds=context.settings.submit_seconds)

    async def check(request: Request, token: str, receive: _Receive) -> CheckPacket:
        caller = await context.verifier.verify(token)
        blob = await receive(request, context, caller)
        return CheckPacket(token=token, packet_sha256=blob.sha256, packet_bytes=blob.size_bytes)

    @app.post(
        "/v1/validations",
        tags=["sending"],
        summary="Check a packet without sending it",
        response_model=PacketFindings,
        responses=problems(*SIGNED_IN, *BODY_PROBLEMS),
        openapi_extra=PACKET_OR_FORM,
    )
    async def validate_packet(request: Request, token: AccessToken) -> Response:
        try:
            question = await check(request, token, receive_document)
        except (PacketInvalid, DocumentIdMissing) as refusal:
            # No packet could be made of the form; for whoever asks, that is a finding like any other.
            report = PacketFindings(
                accepted=False, problem_code=refusal.problem_code, detail=refusal.detail, errors=refusal.errors
            )
            return write_json(report)
        return write_json(await context.bus.ask(VALIDATE_PACKET, question, within=within))

    @app.post(
        "/v1/verifications",
        tags=["trust"],
        summary="Verify the signatures of a packet",
        response_model=Verification,
        responses=problems(*SIGNED_IN, *BODY_PROBLEMS, "packet-malformed", "packet-invalid", "document-id-missing"),
        openapi_extra=PACKET_BODY,
    )
    async def verify_packet(request: Request, token: AccessToken) -> Response:
        report = await context.bus.ask(VERIFY_PACKET, await check(request, token, receive_packet), within=within)
        return write_json(
            Verification(checked_at=report.checked_at, signatures=report.signatures, overall=report.indication)
        )

    @app.get(
        "/schemas/packet",
        tags=["reference"],
        summary="JSON Schema of a packet without its files",
        response_class=SchemaResponse,
        responses=problems(),
    )
    async def show_schema(request: Request) -> Response:
        return write_cacheable(request, _SCHEMA, media_type="application/schema+json", max_age_seconds=300)
