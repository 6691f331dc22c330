"""Our states in the words of the dialect: the transfer of one item, and what an agency does with a document."""

from collections.abc import Mapping
from typing import Final

from shared.contracts.routing import DeliveryState, SentItem

INITIAL: Final = "initial"
PROCESSING: Final = "processing"
DONE: Final = "done"
FAIL: Final = "fail"
TRANSFER: Final = (INITIAL, PROCESSING, DONE, FAIL)

_WORDS: Final[Mapping[str, str]] = {
    INITIAL: "Moi",
    PROCESSING: "Dang xu ly",
    DONE: "Thanh cong",
    FAIL: "That bai",
}

_TRANSFERS: Final[Mapping[DeliveryState, str]] = {
    DeliveryState.SCHEDULED: INITIAL,
    DeliveryState.QUEUED: INITIAL,
    DeliveryState.AVAILABLE: INITIAL,
    DeliveryState.RELAYED: PROCESSING,
    DeliveryState.FETCHED: PROCESSING,
    DeliveryState.DELIVERED: DONE,
    DeliveryState.FAILED: FAIL,
    DeliveryState.CANCELLED: FAIL,
    DeliveryState.RECALLED: FAIL,
    DeliveryState.EXPIRED: FAIL,
}

_MORE: Final[Mapping[DeliveryState, str]] = {
    DeliveryState.CANCELLED: "Da huy",
    DeliveryState.RECALLED: "Da thu hoi",
    DeliveryState.EXPIRED: "Het han",
}

_BUSINESS: Final[Mapping[str, str]] = {
    "01": "Da den",
    "02": "Tu choi tiep nhan",
    "03": "Da tiep nhan",
    "04": "Phan cong",
    "05": "Dang xu ly",
    "06": "Hoan thanh",
    "13": "Lay lai",
    "15": "Dong y",
    "16": "Tu choi",
}


def transfer_state(state: DeliveryState) -> tuple[str, str]:
    """
    Say how far an item has come: the word programs read, and the one for people.
    """
    word = _TRANSFERS[state]
    return word, _MORE.get(state, _WORDS[word])


def sent_state(item: SentItem) -> tuple[str, str]:
    """
    Say the same of something sent, which may not have reached a mailbox yet.
    """
    return transfer_state(item.state or DeliveryState.QUEUED)


def business_words(code: str) -> str:
    """
    Say what a business status means.
    """
    return _BUSINESS.get(code, code)
