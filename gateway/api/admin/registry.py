"""Agencies, systems, certificates and registrations; scopes `operate` and `approve`."""

from datetime import timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import FastAPI, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.answers import SIGNED_IN, problems, write_json
from gateway.api.bodies import receive_packet
from gateway.api.context import Context
from gateway.api.examples import CSR
from gateway.api.moments import GivenDay
from gateway.api.registrations import SYSTEM_ID
from gateway.api.route import AccessToken, AgencyCode, Cursor, IdempotencyKey
from shared.contracts.base import Lane
from shared.contracts.registry import (
    ADD_SYSTEM,
    DECIDE_REGISTRATION,
    IMPORT_AGENCIES,
    LIST_REGISTRATIONS,
    LIST_SYSTEMS,
    REVOKE_CERTIFICATE,
    ROTATE_CREDENTIAL,
    SET_SOURCES,
    SET_SYSTEM_STATUS,
    AddSystem,
    Credential,
    DecideRegistration,
    ImportAgencies,
    ImportReport,
    KeyRequest,
    ListRegistrations,
    ListSystems,
    RegistrationPage,
    RegistrationStatus,
    RegistrationView,
    RevokeCertificate,
    Role,
    RotateCredential,
    Scope,
    SetSources,
    SetSystemStatus,
    SystemAccess,
    SystemEntry,
    SystemPage,
    SystemStatus,
)

CSV_TYPES: Final = ("text/csv",)
_AHEAD: Final = Lane.VERY_URGENT
_BODY: Final = ("wrong-media-type", "request-too-large", "body-incomplete")
_IMPORT_PATIENCE: Final = timedelta(seconds=120)

_CSV_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            CSV_TYPES[0]: {
                "schema": {"type": "string"},
                "example": "code,code102,name,level,kind,parent,valid_from,valid_to\n",
            }
        },
    }
}


GivenSecret = Annotated[
    str | None,
    Field(
        max_length=256, description="Only for dialect `vxp`: a secret the other side has already; none: a fresh one."
    ),
]
Sources = Annotated[
    tuple[Annotated[str, StringConstraints(min_length=1, max_length=64)], ...],
    Field(max_length=50, description="Only for dialect `vxp`: networks such as `203.0.113.0/24`; none: any."),
]


class SystemRequest(BaseModel):
    """
    A system to add without a registration.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "system_id": "qlvb-vi-du",
                    "name": "Quản lý văn bản huyện Ví Dụ",
                    "agencies": ["H43.30"],
                    "keys": [{"purpose": "seal", "csr": CSR}],
                }
            ]
        }
    )

    system_id: str = Field(pattern=SYSTEM_ID)
    name: str = Field(min_length=1, max_length=200)
    dialect: str = Field(default="rest", pattern=r"^(rest|vxp)$")
    agencies: Annotated[tuple[AgencyCode, ...], Field(max_length=500)] = ()
    roles: Annotated[tuple[Role, ...], Field(max_length=3)] = (Role.SENDER, Role.READER, Role.RECEIVER)
    scopes: Annotated[tuple[Scope, ...], Field(max_length=6)] = (Scope.SEND, Scope.INBOX, Scope.ACKNOWLEDGE)
    keys: Annotated[tuple[KeyRequest, ...], Field(max_length=2)] = ()
    secret: GivenSecret = None
    sources: Sources = ()


class RotationRequest(BaseModel):
    """
    How long the old credentials stay good beside the new one.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_hours": 24}]})

    overlap_hours: int = Field(default=24, ge=0, le=720)
    secret: GivenSecret = None


class SourcesRequest(BaseModel):
    """
    Where a system may call from; none: from anywhere.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"sources": ["203.0.113.0/24"]}]})

    sources: Sources = ()


class ReasonRequest(BaseModel):
    """
    Why.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "Chưa có văn bản đề nghị"}]})

    reason: str = Field(default="", max_length=500)


class RevocationRequest(BaseModel):
    """
    A reason of RFC 5280 section 5.3.1.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "keyCompromise"}]})

    reason: str = Field(default="unspecified", pattern=r"^[A-Za-z]{1,40}$")


SystemId = Annotated[str, Path(pattern=SYSTEM_ID)]


def add_registry(app: FastAPI, context: Context) -> None:
    """
    Add the registrar's routes.
    """
    _add_import(app, context)
    _add_systems(app, context)
    _add_registrations(app, context)


def _add_import(app: FastAPI, context: Context) -> None:
    @app.post(
        "/v1/admin/agencies/import",
        tags=["registrar"],
        summary="Take a table of agencies into the register, all of it or nothing",
        response_model=ImportReport,
        responses=problems(
            *SIGNED_IN,
            *_BODY,
            "length-required",
            "packet-too-large",
            "digest-mismatch",
            "storage-low",
            "upload-too-slow",
            "too-many-uploads",
            "import-refused",
        ),
        openapi_extra=_CSV_BODY,
    )
    async def import_agencies(
        request: Request,
        token: AccessToken,
        as_of: Annotated[GivenDay, Query(description="Rows valid on this day are taken.")],
        under: Annotated[list[AgencyCode] | None, Query(max_length=100)] = None,
        level: Annotated[list[str] | None, Query(max_length=10)] = None,
        served_by: Annotated[str | None, Query(max_length=64)] = None,
        dry_run: Annotated[bool, Query()] = False,
        _idempotency_key: IdempotencyKey = None,
    ) -> Response:
        caller = await context.verifier.verify(token)
        blob = await receive_packet(
            request,
            context,
            caller,
            lane=_AHEAD,
            types=(*CSV_TYPES, "application/csv"),
            max_bytes=context.settings.max_import_bytes,
        )
        question = ImportAgencies(
            token=token,
            csv_sha256=blob.sha256,
            as_of=as_of,
            under=tuple(under or ()),
            levels=tuple(level or ()),
            served_by=served_by,
            dry_run=dry_run,
        )
        return write_json(await context.bus.ask(IMPORT_AGENCIES, question, lane=_AHEAD, within=_IMPORT_PATIENCE))


def _add_systems(app: FastAPI, context: Context) -> None:
    @app.get(
        "/v1/admin/systems",
        tags=["registrar"],
        summary="All systems",
        response_model=SystemPage,
        responses=problems(*SIGNED_IN, "cursor-invalid"),
    )
    async def list_systems(
        token: AccessToken, limit: Annotated[int, Query(ge=1, le=500)] = 100, cursor: Cursor = None
    ) -> Response:
        question = ListSystems(token=token, limit=limit, cursor=cursor)
        return write_json(await context.bus.ask(LIST_SYSTEMS, question, lane=_AHEAD))

    @app.post(
        "/v1/admin/systems",
        tags=["registrar"],
        summary="Add a system; its secret is shown this once",
        status_code=201,
        response_model=Credential,
        responses=problems(
            *SIGNED_IN, *_BODY, "agencies-refused", "system-id-taken", "system-invalid", "certificate-request-invalid"
        ),
    )
    async def add_system(token: AccessToken, body: SystemRequest, _idempotency_key: IdempotencyKey = None) -> Response:
        question = AddSystem(
            token=token,
            system_id=body.system_id,
            name=body.name,
            dialect=body.dialect,
            agencies=body.agencies,
            roles=body.roles,
            scopes=body.scopes,
            keys=body.keys,
            secret=body.secret,
            sources=body.sources,
        )
        return write_json(await context.bus.ask(ADD_SYSTEM, question, lane=_AHEAD), status=201)

    @app.post(
        "/v1/admin/systems/{system_id}/rotate",
        tags=["registrar"],
        summary="Give a system a second credential; the old ones end after the overlap",
        response_model=Credential,
        responses=problems(*SIGNED_IN, *_BODY, "not-found", "system-invalid"),
    )
    async def rotate_credential(
        system_id: SystemId,
        token: AccessToken,
        body: RotationRequest | None = None,
        _idempotency_key: IdempotencyKey = None,
    ) -> Response:
        wish = body or RotationRequest()
        question = RotateCredential(
            token=token, system_id=system_id, overlap_hours=wish.overlap_hours, secret=wish.secret
        )
        return write_json(await context.bus.ask(ROTATE_CREDENTIAL, question, lane=_AHEAD))

    @app.post(
        "/v1/admin/systems/{system_id}/sources",
        tags=["registrar"],
        summary="Say where a system may call from; ends the alarm about a second address",
        response_model=SystemAccess,
        responses=problems(*SIGNED_IN, *_BODY, "not-found", "system-invalid"),
    )
    async def set_sources(
        system_id: SystemId, token: AccessToken, body: SourcesRequest, _idempotency_key: IdempotencyKey = None
    ) -> Response:
        question = SetSources(token=token, system_id=system_id, sources=body.sources)
        return write_json(await context.bus.ask(SET_SOURCES, question, lane=_AHEAD))

    async def set_status(system_id: str, token: str, status: SystemStatus, body: ReasonRequest | None) -> Response:
        reason = (body or ReasonRequest()).reason
        question = SetSystemStatus(token=token, system_id=system_id, status=status, reason=reason)
        return write_json(await context.bus.ask(SET_SYSTEM_STATUS, question, lane=_AHEAD))

    @app.post(
        "/v1/admin/systems/{system_id}/disable",
        tags=["registrar"],
        summary="Refuse a system everywhere within 5 seconds",
        response_model=SystemEntry,
        responses=problems(*SIGNED_IN, *_BODY, "not-found"),
    )
    async def disable_system(
        system_id: SystemId,
        token: AccessToken,
        body: ReasonRequest | None = None,
        _idempotency_key: IdempotencyKey = None,
    ) -> Response:
        return await set_status(system_id, token, SystemStatus.DISABLED, body)

    @app.post(
        "/v1/admin/systems/{system_id}/enable",
        tags=["registrar"],
        summary="Let a disabled system connect again",
        response_model=SystemEntry,
        responses=problems(*SIGNED_IN, *_BODY, "not-found"),
    )
    async def enable_system(
        system_id: SystemId,
        token: AccessToken,
        body: ReasonRequest | None = None,
        _idempotency_key: IdempotencyKey = None,
    ) -> Response:
        return await set_status(system_id, token, SystemStatus.ACTIVE, body)

    @app.post(
        "/v1/admin/certificates/{sha256}/revoke",
        tags=["registrar"],
        summary="Take a certificate out of use",
        response_model=SystemEntry,
        responses=problems(*SIGNED_IN, *_BODY, "not-found", "certificate-unknown"),
    )
    async def revoke_certificate(
        sha256: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")],
        token: AccessToken,
        body: RevocationRequest | None = None,
        _idempotency_key: IdempotencyKey = None,
    ) -> Response:
        reason = (body or RevocationRequest()).reason
        question = RevokeCertificate(token=token, certificate_sha256=sha256, reason=reason)
        return write_json(await context.bus.ask(REVOKE_CERTIFICATE, question, lane=_AHEAD))


def _add_registrations(app: FastAPI, context: Context) -> None:
    @app.get(
        "/v1/admin/registrations",
        tags=["registrar"],
        summary="Registrations, oldest first",
        response_model=RegistrationPage,
        responses=problems(*SIGNED_IN, "cursor-invalid"),
    )
    async def list_registrations(
        token: AccessToken,
        status: Annotated[RegistrationStatus | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Cursor = None,
    ) -> Response:
        question = ListRegistrations(token=token, status=status, limit=limit, cursor=cursor)
        return write_json(await context.bus.ask(LIST_REGISTRATIONS, question, lane=_AHEAD))

    async def decide(registration_id: UUID, token: str, body: ReasonRequest | None, *, approve: bool) -> Response:
        reason = (body or ReasonRequest()).reason
        question = DecideRegistration(token=token, id=registration_id, approve=approve, reason=reason)
        return write_json(await context.bus.ask(DECIDE_REGISTRATION, question, lane=_AHEAD))

    answers = problems(
        *SIGNED_IN, *_BODY, "not-found", "registration-decided", "reason-missing", "agencies-refused", "system-id-taken"
    )

    @app.post(
        "/v1/admin/registrations/{registration_id}/approve",
        tags=["registrar"],
        summary="Approve a registration; scope `approve`",
        response_model=RegistrationView,
        responses=answers,
    )
    async def approve_registration(
        registration_id: UUID,
        token: AccessToken,
        body: ReasonRequest | None = None,
        _idempotency_key: IdempotencyKey = None,
    ) -> Response:
        return await decide(registration_id, token, body, approve=True)

    @app.post(
        "/v1/admin/registrations/{registration_id}/refuse",
        tags=["registrar"],
        summary="Refuse a registration with a reason; scope `approve`",
        response_model=RegistrationView,
        responses=answers,
    )
    async def refuse_registration(
        registration_id: UUID, token: AccessToken, body: ReasonRequest, _idempotency_key: IdempotencyKey = None
    ) -> Response:
        return await decide(registration_id, token, body, approve=False)
