"""Transactional messaging: what is published is written with the fact; what is consumed is consumed once."""

from shared.outbox.at_once import WorkAtOnce
from shared.outbox.consumer import Consumer
from shared.outbox.dead import answer_dead_messages
from shared.outbox.figures import MessagingFigures
from shared.outbox.relay import Relay
from shared.outbox.tables import MessagingTables, messaging_ddl, messaging_tables
from shared.outbox.unit_of_work import Store, UnitOfWork

__all__ = [
    "Consumer",
    "MessagingFigures",
    "MessagingTables",
    "Relay",
    "Store",
    "UnitOfWork",
    "WorkAtOnce",
    "answer_dead_messages",
    "messaging_ddl",
    "messaging_tables",
]
