"""Statuses as those they are meant for get them: listed, fetched, acknowledged, like documents."""

from typing import Final
from uuid import UUID

from services.routing.domain.deliveries import RESULT_STATES, Result
from services.routing.domain.register import READING_ROLES, Mandate
from services.routing.domain.status_packages import write_report
from services.routing.errors import AcknowledgementConflict
from services.routing.repository import AnyRow
from services.routing.repository import status_items as repository
from services.routing.repository.cursors import read_cursor, write_cursor
from services.routing.usecases.access import authorize, not_found
from services.routing.usecases.context import Context
from services.routing.usecases.inbox import PACKET_TYPE
from shared.blobs import StoredBlob
from shared.contracts.registry import Role
from shared.contracts.routing import (
    AcknowledgeStatus,
    ChooseStatus,
    CountInbox,
    DeliveryState,
    InboxCounts,
    ListStatusItems,
    OpenBlob,
    StatusAcknowledged,
    StatusItem,
    StatusItemPage,
)

LISTENING_ROLES: Final = tuple(Role)
"""A status goes to the document's sender, or to an addressee; whoever acts for the agency at all may read it."""

ANSWERING_ROLES: Final = (Role.SENDER, Role.RECEIVER)


async def list_status_items(context: Context, request: ListStatusItems) -> StatusItemPage:
    """
    List the statuses that the caller's agencies have not acknowledged.

    Raises:
        RequestInvalid: The cursor is not one of ours.
    """
    mandate = await authorize(context, request.token, "inbox")
    keys = mandate.agencies(*LISTENING_ROLES)
    after = read_cursor(request.cursor, UUID)
    async with context.store.read() as connection:
        rows = await repository.list_items(connection, keys, None if after is None else after[0], request.limit + 1)
    page = rows[: request.limit]
    cursor = write_cursor(page[-1].status_id) if len(rows) > request.limit else None
    return StatusItemPage(items=tuple(_item(mandate, row) for row in page), next_cursor=cursor, agency_keys=keys)


async def count_inbox(context: Context, request: CountInbox) -> InboxCounts:
    """
    Count what the lists of documents and of statuses would give.
    """
    mandate = await authorize(context, request.token, "inbox")
    async with context.store.read() as connection:
        documents, statuses = await repository.count_waiting(
            connection, mandate.agencies(*READING_ROLES), mandate.agencies(*LISTENING_ROLES)
        )
    return InboxCounts(documents=documents, statuses=statuses)


async def open_status(context: Context, request: ChooseStatus) -> OpenBlob:
    """
    Let a status' bytes leave: as they came in a package, or written once where it was reported over REST. `fetched` is
    committed before this answers.

    Raises:
        NotFound: It is not addressed to an agency of the caller.
        Unavailable: The bytes are out of reach.
    """
    mandate = await authorize(context, request.token, "inbox")
    keys = mandate.agencies(*LISTENING_ROLES)
    async with context.store.read() as connection:
        row = await repository.read_item(connection, request.status_id, keys)
    if row is None:
        raise not_found("trạng thái")
    if row.bytes_sha256 is None:
        blob = await _write(context, mandate, row)
    else:
        blob = StoredBlob(row.bytes_sha256, row.bytes_size)
        await context.packets.keep(blob.sha256)
    async with context.store.begin() as uow:
        noted = await repository.note_fetched(
            uow.connection,
            request.status_id,
            row.addressee_key,
            bytes_sha256=blob.sha256,
            bytes_size=blob.size_bytes,
            at=context.clock.now(),
        )
        await uow.commit()
    return OpenBlob(
        sha256=noted.bytes_sha256,
        bytes=noted.bytes_size,
        content_type=PACKET_TYPE,
        file_name=f"{request.status_id}.edxml",
    )


async def acknowledge_status(context: Context, request: AcknowledgeStatus) -> StatusAcknowledged:
    """
    Take an item off the list.

    Raises:
        NotFound: It is not addressed to an agency the caller may answer for.
        AcknowledgementConflict: It was acknowledged with the other result.
    """
    mandate = await authorize(context, request.token, "acknowledge")
    keys = mandate.agencies(*ANSWERING_ROLES)
    wanted = RESULT_STATES[Result(request.result)]
    async with context.store.begin() as uow:
        row = await repository.read_item(uow.connection, request.status_id, keys, lock=True)
        if row is None:
            raise not_found("trạng thái")
        state, at = DeliveryState(row.state), row.changed_at
        created = state not in RESULT_STATES.values()
        if created:
            at = context.clock.now()
            await repository.move_item(uow.connection, request.status_id, row.addressee_key, state=wanted.value, at=at)
            await uow.commit()
        elif state is not wanted:
            raise AcknowledgementConflict(
                f"Trạng thái này đã được xác nhận «{state}». / This status was acknowledged as {state}."
            )
    return StatusAcknowledged(created=created, status_id=request.status_id, state=wanted, acknowledged_at=at)


async def _write(context: Context, mandate: Mandate, row: AnyRow) -> StoredBlob:
    report = write_report(
        reporter=mandate.register.agencies[row.reporter_key],
        header=row.header,
        document_code=row.document_code,
        code=row.code,
        description=row.description,
        staff=row.staff,
        at=row.happened_at,
    )
    return await context.packets.write_status(report)


def _item(mandate: Mandate, row: AnyRow) -> StatusItem:
    return StatusItem(
        status_id=row.status_id,
        document_id=row.document_id,
        delivery_id=row.delivery_id,
        from_agency=mandate.register.code_of(row.reporter_key),
        to_agency=mandate.register.code_of(row.addressee_key),
        code=row.code,
        sender_document_id=row.sender_document_id,
        state=DeliveryState(row.state),
        created_at=row.reported_at,
        changed_at=row.changed_at,
    )
