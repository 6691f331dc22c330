"""How an integrator gets a system that acts for agencies."""

from typing import Annotated
from uuid import UUID

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from gateway.api.answers import problems, write_json
from gateway.api.context import Context
from gateway.api.examples import CSR
from gateway.api.route import AgencyCode, ClaimToken, IdempotencyKey, named
from shared.contracts.registry import (
    HAND_OVER,
    READ_REGISTRATION,
    REGISTER,
    Credential,
    KeyRequest,
    ReadRegistration,
    Register,
    Registered,
    RegistrationView,
)

SYSTEM_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{1,63}$"


class RegistrationRequest(BaseModel):
    """
    A system that shall act for agencies. The private keys of `keys` stay with the integrator.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "system_id": "qlvb-vi-du",
                    "system_name": "Quản lý văn bản huyện Ví Dụ",
                    "contact_name": "Nguyễn Văn A",
                    "contact_email": "a@example.vn",
                    "agencies": ["H43.30", "H43.30.01"],
                    "keys": [{"purpose": "seal", "csr": CSR}],
                }
            ]
        }
    )

    system_id: str = Field(pattern=SYSTEM_ID, description="Letters, digits, `.`, `_` and `-`; also the client id.")
    system_name: str = Field(min_length=1, max_length=200)
    contact_name: str = Field(min_length=1, max_length=200)
    contact_email: str = Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")
    agencies: Annotated[tuple[AgencyCode, ...], Field(min_length=1, max_length=200)]
    keys: Annotated[tuple[KeyRequest, ...], Field(min_length=1, max_length=2)]


def add_registrations(app: FastAPI, context: Context) -> None:
    """
    Add the routes of integrators.
    """

    @app.post(
        "/v1/registrations",
        tags=["registry"],
        summary="Ask for a system to act for agencies",
        status_code=201,
        response_model=Registered,
        responses=problems(
            "agencies-refused",
            "system-id-taken",
            "system-invalid",
            "certificate-request-invalid",
            "idempotency-key-reused",
            "wrong-media-type",
            "request-too-large",
            "body-incomplete",
        ),
    )
    async def register(body: RegistrationRequest, idempotency_key: IdempotencyKey = None) -> Response:
        question = Register(
            system_id=body.system_id,
            system_name=body.system_name,
            contact_name=body.contact_name,
            contact_email=body.contact_email,
            agencies=body.agencies,
            keys=body.keys,
            idempotency_key=named(idempotency_key),
        )
        registered = await context.bus.ask(REGISTER, question)
        return write_json(registered, status=201, headers={"Location": f"/v1/registrations/{registered.id}"})

    @app.get(
        "/v1/registrations/{registration_id}",
        tags=["registry"],
        summary="Where a registration stands and who acts next",
        response_model=RegistrationView,
        responses=problems("token-missing", "token-invalid", "not-found"),
    )
    async def read_registration(registration_id: UUID, claim_token: ClaimToken) -> Response:
        question = ReadRegistration(id=registration_id, claim_token=claim_token)
        return write_json(await context.bus.ask(READ_REGISTRATION, question))

    @app.post(
        "/v1/registrations/{registration_id}/handover",
        tags=["registry"],
        summary="Take the credential; repeatable until its first use",
        response_model=Credential,
        responses=problems(
            "token-missing", "token-invalid", "not-found", "registration-not-approved", "already-handed-over"
        ),
    )
    async def hand_over(
        registration_id: UUID,
        claim_token: ClaimToken,
        _idempotency_key: IdempotencyKey = None,  # accepted; until its first use the same credential is given anyway
    ) -> Response:
        question = ReadRegistration(id=registration_id, claim_token=claim_token)
        return write_json(await context.bus.ask(HAND_OVER, question))
