"""Asks in: each operation of the contract goes to its use case."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.registry.usecases import (
    accesses,
    agencies,
    changes,
    imports,
    registrations,
    signed_headers,
    systems,
    tokens,
    units,
    webhooks,
)
from services.registry.usecases.collaborators import Collaborators
from shared.contracts import registry as contract
from shared.contracts.base import Contract, Health, Nothing, Operation

RequestT = TypeVar("RequestT", bound=Contract)
ReplyT = TypeVar("ReplyT", bound=Contract)


def answer_asks(its: Collaborators) -> None:
    """
    Answer every operation of the registry.
    """

    def answer(
        operation: Operation[RequestT, ReplyT], usecase: Callable[[Collaborators, RequestT], Awaitable[ReplyT]]
    ) -> None:
        async def handle(request: RequestT) -> ReplyT:
            return await usecase(its, request)

        its.bus.answer(operation, handle)

    answer(contract.ISSUE_TOKEN, tokens.issue_token)
    answer(contract.CHECK_SIGNED_HEADER, signed_headers.check_signed_header)
    answer(contract.READ_CHANGES, changes.read_changes)
    answer(contract.LIST_AGENCIES, agencies.list_agencies)
    answer(contract.READ_AGENCY, agencies.read_agency)
    answer(contract.IMPORT_AGENCIES, imports.import_agencies)
    answer(contract.LIST_UNITS, units.list_units)
    answer(contract.REGISTER_UNIT, units.register_unit)
    answer(contract.CANCEL_UNIT, units.cancel_unit)
    answer(contract.ADD_SYSTEM, systems.add_system)
    answer(contract.LIST_SYSTEMS, systems.list_systems)
    answer(contract.ROTATE_CREDENTIAL, systems.rotate_credential)
    answer(contract.SET_SYSTEM_STATUS, systems.set_system_status)
    answer(contract.SET_SOURCES, accesses.set_sources)
    answer(contract.REVOKE_CERTIFICATE, systems.revoke_certificate)
    answer(contract.REGISTER, registrations.register_system)
    answer(contract.READ_REGISTRATION, registrations.read_registration)
    answer(contract.LIST_REGISTRATIONS, registrations.list_registrations)
    answer(contract.DECIDE_REGISTRATION, registrations.decide_registration)
    answer(contract.HAND_OVER, registrations.hand_over_credential)
    answer(contract.ADD_WEBHOOK, webhooks.add_webhook)
    answer(contract.LIST_WEBHOOKS, webhooks.list_webhooks)
    answer(contract.REMOVE_WEBHOOK, webhooks.remove_webhook)
    answer(contract.READ_ENDPOINTS, webhooks.read_endpoints)
    answer(contract.SET_WEBHOOK_STATE, webhooks.set_webhook_state)
    answer(contract.READ_HEALTH, _read_health)


async def _read_health(its: Collaborators, _: Nothing) -> Health:
    return await changes.read_health(its)
