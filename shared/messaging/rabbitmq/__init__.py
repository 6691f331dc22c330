"""The bus between processes: RabbitMQ behind the same port."""

from shared.messaging.rabbitmq.bus import RabbitBus
from shared.messaging.rabbitmq.errors import BrokerRefused
from shared.messaging.rabbitmq.topology import AXIS, Party, Topology, hash_password

__all__ = ["AXIS", "BrokerRefused", "Party", "RabbitBus", "Topology", "hash_password"]
