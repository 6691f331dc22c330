"""What the registry publishes."""

from typing import ClassVar
from uuid import UUID

from shared.contracts.base import Event
from shared.contracts.registry.registrations import RegistrationStatus


class AgenciesChanged(Event):
    """
    Agencies were added or changed; at most 500 keys an event.
    """

    topic: ClassVar[str] = "registry.agencies_changed.v1"
    version: int
    keys: tuple[UUID, ...]


class SystemsChanged(Event):
    """
    Systems, their grants, credentials or certificates changed.
    """

    topic: ClassVar[str] = "registry.systems_changed.v1"
    version: int
    system_ids: tuple[str, ...]
    change: str


class RegistrationsChanged(Event):
    """
    A registration was made, decided or handed over.
    """

    topic: ClassVar[str] = "registry.registrations_changed.v1"
    registration_id: UUID
    system_id: str
    status: RegistrationStatus


class WebhooksChanged(Event):
    """
    An endpoint was added, confirmed, switched off or removed.
    """

    topic: ClassVar[str] = "registry.webhooks_changed.v1"
    webhook_id: UUID
    system_id: str
    change: str
