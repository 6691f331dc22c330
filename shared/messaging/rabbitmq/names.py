"""What exchanges (in the singular) and queues (in the plural) are called: a right over one is none over the other."""

from shared.messaging.port import EVERY_TOPIC


def asks_exchange(service: str) -> str:
    """
    Where asks to a service go.
    """
    return f"ask.{service}"


def answers_exchange(asker: str) -> str:
    """
    Where answers to a party go.
    """
    return f"answer.{asker}"


def events_exchange(publisher: str) -> str:
    """
    Where a publisher's events go.
    """
    return f"event.{publisher}"


def again_exchange(consumer: str) -> str:
    """
    What leads back to a consumer's own queues, and to nobody else's.
    """
    return f"again.{consumer}"


def dead_exchange(consumer: str) -> str:
    """
    What leads to a consumer's queue of last resort.
    """
    return f"dead.{consumer}"


def hints_exchange(party: str) -> str:
    """
    Where a party's hints go.
    """
    return f"hint.{party}"


def ask_queue(service: str, *, urgent: bool) -> str:
    """
    One of a service's two queues of asks.
    """
    return f"asks.{service}.urgent" if urgent else f"asks.{service}"


def event_queue(consumer: str, topic: str) -> str:
    """
    The queue of one topic at one consumer.
    """
    return f"events.{consumer}.{'everything' if topic == EVERY_TOPIC else topic}"


def dead_queue(consumer: str) -> str:
    """
    The queue of last resort of a consumer.
    """
    return f"dead.{consumer}.messages"


def ask_key(*, urgent: bool) -> str:
    """
    The routing key that leads to one of the two.
    """
    return "urgent" if urgent else "ordinary"


def answers_prefix(asker: str) -> str:
    """
    How the names of the answer queues of a party's processes begin.
    """
    return f"answers.{asker}."


def hints_prefix(party: str) -> str:
    """
    How the names of the hint queues of a party's processes begin.
    """
    return f"hints.{party}."
