"""
Refusals of delivery.

    Rejected
    ├── NotFound                    no such endpoint of the caller
    ├── WebhookNotActive            the endpoint has not agreed to be called, or was switched off
    ├── NationalAxisRefused         the national axis understood a call and refused it
    ├── ItemUnknown                 the national axis has never listed such an item
    ├── ItemNotFetched              taken is only what was fetched
    └── ItemDecidedOtherwise        an item has one result
    Unavailable
    └── NationalAxisUnavailable     the national axis did not answer, or has a fault
        └── NationalAxisIncomprehensible    what answered does not speak the protocol
"""

from typing import ClassVar

from shared.errors import Rejected, Unavailable


class NotFound(Rejected):
    """
    The caller's system has no such webhook. List the webhooks to see their identifiers.
    """

    code: ClassVar[str] = "not-found"


class WebhookNotActive(Rejected):
    """
    The endpoint is not called: it has not answered the handshake yet, or it was switched off. The webhook's `state` and
    `reason` say which; once the endpoint works, remove the webhook and add it again.
    """

    code: ClassVar[str] = "webhook-not-active"


class NationalAxisRefused(Rejected):
    """
    The national axis refused a call; `detail` holds its own code and words. With code 15 it does not know our system or
    secret, with 18 or 23 it does not deliver to an addressee, with 19 it does not take us for the sender.

    Args:
        axis_code: The axis' own error code.
        axis_text: Its words, made fit for a log.
    """

    code: ClassVar[str] = "national-axis-refused"

    def __init__(self, axis_code: str, axis_text: str) -> None:
        super().__init__(f"the national axis refused with code {axis_code}: {axis_text or 'no reason given'}")
        self.axis_code = axis_code
        self.axis_text = axis_text


class ItemUnknown(Rejected):
    """
    The national axis has not listed such an item, or it was finished long ago. Poll, and take what is listed.
    """

    code: ClassVar[str] = "not-found"


class ItemNotFetched(Rejected):
    """
    An item that was not fetched cannot be done. Fetch it and store it first.
    """

    code: ClassVar[str] = "not-fetched"


class ItemDecidedOtherwise(Rejected):
    """
    The item has another result already, and the national axis may have heard of it.
    """

    code: ClassVar[str] = "acknowledgement-conflict"


class NationalAxisUnavailable(Unavailable):
    """
    The national axis did not answer in time or at all, says that it has a fault, or is left alone for a while because
    of that. What was to be done may be tried again.
    """

    @property
    def asked_seconds(self) -> int:
        """
        The pause somebody asked for; 0 where nobody did, which is when the usual one second stands there.
        """
        return self.retry_after if self.retry_after > 1 else 0


class NationalAxisIncomprehensible(NationalAxisUnavailable):
    """
    Something answered that does not speak the protocol: an error page of a proxy, a redirect, an answer that lacks what
    it must have or contradicts itself. Nothing is concluded from it; above all not that there is nothing to fetch.
    """
