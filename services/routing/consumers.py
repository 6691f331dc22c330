"""Asks and events in: one line each, from contract to use case."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from services.routing.usecases import (
    acknowledge,
    documents,
    health,
    inbox,
    operate,
    sent,
    status_items,
    status_packages,
    statuses,
    submit,
    validate,
)
from services.routing.usecases.context import Context
from services.routing.usecases.open_chunk import open_chunk
from shared.contracts import routing
from shared.contracts.base import Contract, Health, Lane, Nothing, Operation
from shared.messaging import Bus
from shared.outbox import Consumer

RequestT = TypeVar("RequestT", bound=Contract)
ReplyT = TypeVar("ReplyT", bound=Contract)


def answer_asks(bus: Bus, context: Context) -> None:
    """
    Answer every operation of routing.
    """

    def answer(
        operation: Operation[RequestT, ReplyT], usecase: Callable[[Context, RequestT], Awaitable[ReplyT]]
    ) -> None:
        bus.answer(operation, partial(usecase, context))

    async def read_health(_: Nothing) -> Health:
        return await health.read_health(context)

    answer(routing.SUBMIT_DOCUMENT, submit.submit_document)
    answer(routing.VALIDATE_PACKET, validate.validate_packet)
    answer(routing.VERIFY_PACKET, validate.verify_packet)
    answer(routing.LIST_DOCUMENTS, documents.list_documents)
    answer(routing.READ_DOCUMENT, documents.read_document)
    answer(routing.READ_RECEIPT, documents.read_receipt)
    answer(routing.READ_JOURNEY, documents.read_journey)
    answer(routing.LIST_INBOX, inbox.list_inbox)
    answer(routing.READ_DELIVERY, inbox.read_delivery)
    answer(routing.OPEN_PACKET, inbox.open_packet)
    answer(routing.DESCRIBE_PACKET, inbox.describe_packet)
    answer(routing.OPEN_ATTACHMENT, inbox.open_attachment)
    answer(routing.DESCRIBE_ATTACHMENT, inbox.describe_attachment)
    answer(routing.ACKNOWLEDGE, acknowledge.acknowledge)
    answer(routing.REPORT_STATUS, statuses.report_status)
    answer(routing.LIST_STATUSES, statuses.list_statuses)
    answer(routing.SUBMIT_STATUS, status_packages.submit_status)
    answer(routing.LIST_STATUS_ITEMS, status_items.list_status_items)
    answer(routing.OPEN_STATUS, status_items.open_status)
    answer(routing.ACKNOWLEDGE_STATUS, status_items.acknowledge_status)
    answer(routing.COUNT_INBOX, status_items.count_inbox)
    answer(routing.LIST_SENT, sent.list_sent)
    answer(routing.READ_QUEUES, operate.read_queues)
    answer(routing.SET_PAUSE, operate.set_pause)
    answer(routing.LIST_FAILED, operate.list_failed)
    answer(routing.REQUEUE, operate.requeue)
    answer(routing.CANCEL, operate.cancel)
    bus.answer(routing.READ_HEALTH, read_health)


def consume_events(consumer: Consumer, context: Context) -> None:
    """
    Open chunks, each lane by consumers of its own.
    """
    for lane in Lane:
        consumer.on(
            routing.CHUNK_READY[lane], partial(open_chunk, context), concurrency=context.settings.lane_concurrency
        )
