"""Acceptance: a packet becomes a document and a dispatch with a receipt, or is refused and leaves nothing."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from services.routing.domain.register import Mandate
from services.routing.domain.submission import Acceptance, Addressees, asked_digest, priority_warning, split
from services.routing.errors import (
    AddresseesRefused,
    AgencyNotYours,
    DocumentIdReused,
    SenderNotYours,
    SignerNotBound,
)
from services.routing.repository import documents as repository
from services.routing.repository.documents import EarlierDocument, StoredDispatch
from services.routing.repository.keys import ADD_KEYS, NewKey, key_rows
from services.routing.usecases import checks
from services.routing.usecases.access import authorize
from services.routing.usecases.checks import ReadDocument
from services.routing.usecases.context import Context
from services.routing.usecases.keys import RequestKey
from shared.contracts.base import Lane
from shared.contracts.registry import AgencyEntry
from shared.contracts.routing import DocumentAccepted, DocumentRefused, SubmitDocument, Submitted
from shared.contracts.signing import VerificationReport
from shared.errors import FieldError, Rejected, Unavailable
from shared.groups import EachAlone
from shared.outbox import UnitOfWork, WorkAtOnce
from shared.telemetry import correlation_id, get_logger

OPERATION = "submit_document"
_ATTEMPTS = 3
"""Losing a race sends us back to the start, where the winner's answer is found; twice in a row is already a miracle."""

_BY_REGISTER = (SenderNotYours, AgencyNotYours, AddresseesRefused, SignerNotBound)
"""Refusals that a newer register may lift."""

_logger = get_logger(__name__)


@dataclass(frozen=True)
class _Accepted:
    """
    All that is written in the one transaction.
    """

    request: SubmitDocument
    mandate: Mandate
    document: ReadDocument
    sender: AgencyEntry
    acceptance: Acceptance
    asked_sha256: str
    receipt: str
    correlation: str = field(default_factory=correlation_id)

    @property
    def body(self) -> str:
        """
        The answer, byte for byte.
        """
        return self.acceptance.answer(self.receipt)


async def submit_document(context: Context, request: SubmitDocument) -> Submitted:
    """
    Accept a packet that lies in the blob store.

    Raises:
        Rejected: As the packet deserves; nothing of it is kept, the refusal is published.
        Unavailable: Something is out of reach; the same request may be repeated.
    """
    mandate = await authorize(context, request.token, "send")
    for _ in range(_ATTEMPTS):
        try:
            submitted = await _submit(context, mandate, request)
        except Rejected as refusal:
            newer = await _newer_mandate(context, mandate, request) if isinstance(refusal, _BY_REGISTER) else None
            if newer is None:
                await _publish_refusal(context, mandate, request, refusal)
                raise
            mandate, submitted = newer, None
        if submitted is not None:
            return submitted
    raise Unavailable("others submit the same document, or change the register, at this moment")


async def _newer_mandate(context: Context, mandate: Mandate, request: SubmitDocument) -> Mandate | None:
    """
    Look whether the register has changed since: what was granted or opened a moment ago must not be refused.
    """
    with suppress(Unavailable):
        register = await context.register.refresh()
        if register.version > mandate.register.version:
            return await authorize(context, request.token, "send")
    return None


async def _submit(context: Context, mandate: Mandate, request: SubmitDocument) -> Submitted | None:
    """Try once; None when somebody else was faster and the winner's answer is to be looked up."""
    # 1. The same request under the same key has its answer already.
    repeat = await _answer_of_key(context, mandate, request)
    if repeat is not None:
        return repeat

    # 2. What the packet says, and whether the caller may send it.
    urgent = request.priority is not None and request.priority >= Lane.VERY_URGENT
    document = await checks.read_document(context, request.packet_sha256, urgent=urgent)
    sender = checks.check_sender(mandate, document, named=request.sender)
    codes = _asked_codes(request, document)

    # 3. The same packet to the same addressees was accepted before: its answer stands, whatever has changed since.
    earlier = await context.group(_find_earlier).do((sender.key, document.header.document_id))
    if earlier is not None and earlier.packet_sha256 == request.packet_sha256:
        same = earlier.dispatch(asked_sha256=asked_digest(codes))
        if same is not None:
            return await _repeat(context, mandate, request, same)

    # 4. Everything that can be wrong with it.
    checks.check_secrecy(context, document)
    addressees = checks.check_addressees(context, mandate, codes)
    accepted_at = context.clock.now()
    report = await checks.verify_signature(context, document, accepted_at)
    signature_warnings = checks.check_signature(context, mandate, sender, report)
    if earlier is not None and earlier.packet_sha256 != request.packet_sha256:
        raise DocumentIdReused(
            f"DocumentId {document.header.document_id} đã dùng cho gói tin khác. / "
            "This DocumentId was used for another packet."
        )
    if earlier is not None and (same := earlier.dispatch(addressees_sha256=addressees.sha256)) is not None:
        return await _repeat(context, mandate, request, same)

    # 5. The receipt, while no transaction is open.
    warnings = (
        *document.packet.warnings,
        *addressees.warnings,
        *priority_warning(request.priority, document.lane),
        *signature_warnings,
    )
    acceptance = _acceptance(context, mandate, document, sender, earlier, addressees, warnings, report, accepted_at)
    receipt = await context.signing.sign_receipt(acceptance.claims(context.settings.public_url), lane=document.lane)

    # 6. One transaction; from its commit on nothing may be lost.
    await context.packets.keep(request.packet_sha256)
    accepted = _Accepted(request, mandate, document, sender, acceptance, asked_digest(codes), receipt)
    if earlier is not None:
        return await _write_further(context, accepted)
    return await context.group(_write_first, apart=document.lane).do(accepted)


async def _find_earlier(
    context: Context, asked: Sequence[tuple[UUID, str]]
) -> list[EarlierDocument | Exception | None]:
    async with context.store.read() as connection:
        return list(await repository.find_documents(connection, asked))


def _asked_codes(request: SubmitDocument, document: ReadDocument) -> tuple[str, ...]:
    """Some of the packet's addressees where the caller names them, else all."""
    if not request.addressees:
        return document.codes
    named = {code.strip().upper() for code in document.codes}
    errors = [
        FieldError(
            pointer=f"/addressees/{index}",
            code="addressee-not-in-packet",
            detail=f"{code}: không có trong gói tin (To). / The packet does not name it (To).",
        )
        for index, code in enumerate(request.addressees)
        if code.strip().upper() not in named
    ]
    if errors:
        raise AddresseesRefused(
            "Nơi nhận không có trong gói tin. / Addressees that the packet does not name.", errors=errors
        )
    return request.addressees


def _acceptance(
    context: Context,
    mandate: Mandate,
    document: ReadDocument,
    sender: AgencyEntry,
    earlier: EarlierDocument | None,
    addressees: Addressees,
    warnings: tuple[FieldError, ...],
    report: VerificationReport,
    accepted_at: datetime,
) -> Acceptance:
    return Acceptance(
        document_id=context.new_id() if earlier is None else earlier.id,
        dispatch_id=context.new_id(),
        receipt_id=context.new_id(),
        sender_code=sender.code,
        sender_document_id=document.header.document_id,
        packet_sha256=document.packet.packet_sha256,
        addressees=addressees,
        warnings=warnings,
        report=report,
        registry_version=mandate.register.version,
        accepted_at=accepted_at,
    )


async def _write_first(context: Context, group: Sequence[_Accepted]) -> list[Submitted | Exception | None]:
    """Write documents nobody had sent when we looked, in one statement; if somebody was faster, each is done alone."""
    work = WorkAtOnce(context.store)
    dispatches, chunks = [], []
    for accepted in group:
        to_open = list(accepted.acceptance.addressees.keys)
        dispatches.append(_dispatch_row(accepted, len(to_open)))
        chunks += _chunk_rows(context, accepted, to_open)
        _announce(context, work, accepted, is_new=True)
    keys = [_new_key(context, accepted) for accepted in group]
    work.add(repository.ADD_DOCUMENTS, repository.in_order([_document_row(accepted) for accepted in group]))
    work.add(ADD_KEYS, key_rows([key for key in keys if key is not None]))
    work.add(repository.ADD_DISPATCHES, dispatches)
    work.add(repository.ADD_CHUNKS, chunks)
    if await work.commit():
        return [_answer(accepted) for accepted in group]
    if len(group) > 1:
        raise EachAlone("others submit the same document at this moment")
    return [await _write_further(context, group[0])]


async def _write_further(context: Context, accepted: _Accepted) -> Submitted | None:
    """Write one, which may be a further dispatch of a document there is; None when somebody else was faster."""
    acceptance, sender = accepted.acceptance, accepted.sender
    async with context.store.begin() as uow:
        key = _key(accepted.mandate, accepted.request)
        if not await key.take(uow.connection, acceptance.dispatch_id, context.clock.now()):
            return None
        is_new = bool(await repository.add_documents(uow.connection, [_document_row(accepted)]))
        if not is_new:
            # Somebody has the DocumentId: ours only if it is the document we found, and nobody else adds to it now.
            known = await repository.lock_document(uow.connection, sender.key, acceptance.sender_document_id)
            if known != acceptance.document_id:
                return None
        so_far = set() if is_new else await repository.addressees_so_far(uow.connection, acceptance.document_id)
        to_open = [key for key in acceptance.addressees.keys if key not in so_far]
        if not await repository.add_dispatches(uow.connection, [_dispatch_row(accepted, len(to_open))]):
            return None
        await repository.add_chunks(uow.connection, _chunk_rows(context, accepted, to_open))
        _announce(context, uow, accepted, is_new=is_new)
        await uow.commit()
    return _answer(accepted)


def _answer(accepted: _Accepted) -> Submitted:
    return Submitted(created=True, document_id=accepted.acceptance.document_id, body=accepted.body)


def _new_key(context: Context, accepted: _Accepted) -> NewKey | None:
    return _key(accepted.mandate, accepted.request).new(accepted.acceptance.dispatch_id, context.clock.now())


def _announce(context: Context, uow: UnitOfWork | WorkAtOnce, accepted: _Accepted, *, is_new: bool) -> None:
    acceptance, document, sender = accepted.acceptance, accepted.document, accepted.sender
    uow.outbox.add(
        DocumentAccepted(
            document_id=acceptance.document_id,
            dispatch_id=acceptance.dispatch_id,
            first_dispatch=is_new,
            sender_key=sender.key,
            sender=sender.code,
            sender_document_id=acceptance.sender_document_id,
            packet_sha256=acceptance.packet_sha256,
            receipt_sha256=sha256(accepted.receipt.encode()).hexdigest(),
            lane=document.lane,
            addressee_count=len(acceptance.addressees.entries),
            system_id=accepted.mandate.system.id,
            credential_id=accepted.mandate.credential_id,
            registry_version=acceptance.registry_version,
            accepted_at=acceptance.accepted_at,
        ),
        lane=document.lane,
        correlation=accepted.correlation,
    )
    uow.after_commit(context.bells.lanes.set)
    context.hint_after_commit(uow, {sender.key})


def _document_row(accepted: _Accepted) -> dict[str, Any]:
    acceptance, packet, header = accepted.acceptance, accepted.document.packet, accepted.document.header
    trace = None if packet.trace is None else packet.trace.model_dump(mode="json")
    return {
        "id": acceptance.document_id,
        "sender_key": accepted.sender.key,
        "sender_code": accepted.sender.code,
        "sender_document_id": acceptance.sender_document_id,
        "packet_sha256": acceptance.packet_sha256,
        "packet_bytes": packet.packet_size,
        "lane": int(accepted.document.lane),
        "subject": header.subject,
        "code": str(header.code),
        "header": {**header.model_dump(mode="json"), "trace": trace},
        "parts": [part.model_dump(mode="json") for part in packet.parts],
        # Labels that nobody reads; a copy of the release before would not know them.
        "attachments": [
            attachment.model_dump(mode="json", exclude={"field_name", "mime_type"}) for attachment in packet.attachments
        ],
        "attachment_count": len(packet.attachments),
        "report": acceptance.report.model_dump(mode="json"),
        "system_id": accepted.mandate.system.id,
        "credential_id": accepted.mandate.credential_id,
        "registry_version": acceptance.registry_version,
        "accepted_at": acceptance.accepted_at,
    }


def _dispatch_row(accepted: _Accepted, opening_count: int) -> dict[str, Any]:
    acceptance = accepted.acceptance
    return {
        "id": acceptance.dispatch_id,
        "document_id": acceptance.document_id,
        "addressees_sha256": acceptance.addressees.sha256,
        "asked_sha256": accepted.asked_sha256,
        "addressee_count": len(acceptance.addressees.entries),
        "opening_count": opening_count,
        "unopened_count": opening_count,
        "body": accepted.body,
        "warnings": [warning.model_dump(mode="json") for warning in acceptance.warnings],
        "system_id": accepted.mandate.system.id,
        "credential_id": accepted.mandate.credential_id,
        "registry_version": acceptance.registry_version,
        "accepted_at": acceptance.accepted_at,
    }


def _chunk_rows(context: Context, accepted: _Accepted, to_open: list[UUID]) -> list[dict[str, Any]]:
    return [
        {
            "id": context.new_id(),
            "dispatch_id": accepted.acceptance.dispatch_id,
            "document_id": accepted.acceptance.document_id,
            "number": number,
            "lane": int(accepted.document.lane),
            "sender_key": accepted.sender.key,
            "accepted_at": accepted.acceptance.accepted_at,
            "addressee_keys": list(keys),
            "addressee_count": len(keys),
            "state": "waiting",
        }
        for number, keys in enumerate(split(to_open), start=1)
    ]


async def _answer_of_key(context: Context, mandate: Mandate, request: SubmitDocument) -> Submitted | None:
    dispatch_id = await _key(mandate, request).look_up(context)
    if dispatch_id is None:
        return None
    async with context.store.read() as connection:
        dispatch = await repository.read_dispatch(connection, dispatch_id)
    if dispatch is None:
        raise RuntimeError(f"the answer {dispatch_id} of an idempotency key is gone")
    return Submitted(created=False, document_id=dispatch.document_id, body=dispatch.body)


async def _repeat(
    context: Context, mandate: Mandate, request: SubmitDocument, same: StoredDispatch
) -> Submitted | None:
    """Answer with the stored bytes, and remember a key that came with them."""
    if request.idempotency_key is not None:
        async with context.store.begin() as uow:
            if not await _key(mandate, request).take(uow.connection, same.id, context.clock.now()):
                return None
            await uow.commit()
    return Submitted(created=False, document_id=same.document_id, body=same.body)


def _key(mandate: Mandate, request: SubmitDocument) -> RequestKey:
    said = "\n".join((request.packet_sha256, *sorted(request.addressees)))
    return RequestKey(mandate.system.id, request.idempotency_key, OPERATION, said)


async def _publish_refusal(context: Context, mandate: Mandate, request: SubmitDocument, refusal: Rejected) -> None:
    refused = DocumentRefused(
        packet_sha256=request.packet_sha256, code=refusal.problem_code, system_id=mandate.system.id
    )
    # The caller is told in any case; a journal that is out of reach must not turn a refusal into a failure.
    with suppress(Unavailable):
        async with context.store.begin() as uow:
            uow.outbox.add(refused)
            await uow.commit()
    _logger.info("packet refused", code=refusal.problem_code, packet_sha256=request.packet_sha256)
