"""
The same client for programs without an event loop.
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from shared.client.client import AxisClient
from shared.client.credential import Credential
from shared.client.retries import RetryPolicy

P = ParamSpec("P")
AnswerT = TypeVar("AnswerT")


def _blocking(
    method: Callable[Concatenate[AxisClient, P], Coroutine[Any, Any, AnswerT]],
) -> Callable[Concatenate["BlockingClient", P], AnswerT]:
    def call(self: "BlockingClient", /, *args: P.args, **kwargs: P.kwargs) -> AnswerT:
        return self.run(method(self.client, *args, **kwargs))

    return functools.update_wrapper(call, method)


class BlockingClient:
    """
    `AxisClient` whose calls return when they are done; use it as a context manager, from one thread.

    Args:
        credential: The credential, its file, or None for the file that `AXIS_CREDENTIAL` names.
        retries: When to try again.
        http: Transport for tests.
    """

    def __init__(
        self,
        credential: Credential | Path | None = None,
        *,
        retries: RetryPolicy | None = None,
        http: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._runner = asyncio.Runner()
        self.client = AxisClient(credential, retries=retries, http=http)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run(self.client.close())
        self._runner.close()

    def run(self, call: Coroutine[Any, Any, AnswerT]) -> AnswerT:
        """
        Run a call of the asynchronous client.
        """
        return self._runner.run(call)

    send = _blocking(AxisClient.send)
    validate = _blocking(AxisClient.validate)
    verify = _blocking(AxisClient.verify)
    documents = _blocking(AxisClient.documents)
    document = _blocking(AxisClient.document)
    journey = _blocking(AxisClient.journey)
    receipt = _blocking(AxisClient.receipt)
    inbox = _blocking(AxisClient.inbox)
    delivery = _blocking(AxisClient.delivery)
    fetch = _blocking(AxisClient.fetch)
    attachment = _blocking(AxisClient.attachment)
    acknowledge = _blocking(AxisClient.acknowledge)
    report_status = _blocking(AxisClient.report_status)
    statuses = _blocking(AxisClient.statuses)
    agencies = _blocking(AxisClient.agencies)
    agency = _blocking(AxisClient.agency)
    add_webhook = _blocking(AxisClient.add_webhook)
    webhooks = _blocking(AxisClient.webhooks)
    remove_webhook = _blocking(AxisClient.remove_webhook)
    try_webhook = _blocking(AxisClient.try_webhook)
