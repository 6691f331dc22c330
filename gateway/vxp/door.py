"""The two dialects behind one listener: addresses of the national one go here, others to the REST routes."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api.context import Context
from gateway.errors import MethodNotAllowed, NotFound
from gateway.limits import RateLimit
from gateway.refusals import Refusals
from gateway.vxp import receiving, sending, units
from gateway.vxp.answers import VxpRefusals
from gateway.vxp.call import Call, prove
from gateway.vxp.operations import BASE, VxpOperation, find_operation, is_vxp, methods_of

Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True)
class _Route:
    """
    What figures of requests are kept by.
    """

    path: str


class Dialects:
    """
    Gives each request to the dialect it speaks, and has each refused in that dialect.

    Args:
        otherwise: Answers what is not of the national dialect.
        context: What the routes work with.
        refusals: Of the REST routes.
    """

    def __init__(self, otherwise: ASGIApp, *, context: Context, refusals: Refusals) -> None:
        self._otherwise = otherwise
        self._context = context
        self._refusals = refusals
        self._vxp_refusals = VxpRefusals()
        settings = context.settings
        self._rate = RateLimit(per_second=settings.rate_per_second, burst=settings.rate_burst)
        lists = units.UnitLists(context)
        self._handlers: Mapping[VxpOperation, Handler] = {**_HANDLERS, **dict.fromkeys(_LISTS, lists.answer)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_vxp(scope["path"]):
            await self._otherwise(scope, receive, send)
            return
        try:
            response = await self._answer(scope, receive)
        except Exception as error:  # noqa: BLE001 - a client of this dialect reads no other answer than its own
            response = self._vxp_refusals.answer(scope, error)
        await response(scope, receive, send)

    def answer(self, scope: Scope, error: Exception) -> Response:
        """
        Make the answer to what was raised before a dialect was chosen, or after it had its say.
        """
        refusals = self._vxp_refusals if is_vxp(scope["path"]) else self._refusals
        return refusals.answer(scope, error)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        operation = find_operation(scope["path"])
        if operation is None:
            raise NotFound("Không có thao tác này. / There is no such operation; capitals count.")
        scope["route"] = _Route(f"/{BASE}/{operation}")
        if scope["method"] not in (allowed := methods_of(operation)):
            raise MethodNotAllowed(f"{operation} does not answer {scope['method']}", allowed=tuple(sorted(allowed)))
        call = await prove(operation, Request(scope, receive), self._context, self._rate)
        return await self._handlers[operation](call)


_HANDLERS: Final[Mapping[VxpOperation, Handler]] = {
    VxpOperation.SEND_EDOC: sending.send_edoc,
    VxpOperation.LIST_SENT: sending.list_sent,
    VxpOperation.LIST_RECEIVED: receiving.list_received,
    VxpOperation.GET_EDOC: receiving.get_edoc,
    VxpOperation.DOWNLOAD_EDOC: receiving.download_edoc,
    VxpOperation.UPDATE_STATUS: receiving.update_status,
    VxpOperation.COUNT_DOCUMENTS: receiving.count,
    VxpOperation.COUNT_STATUSES: receiving.count,
    VxpOperation.REGISTER_AGENCY: units.register_agency,
    VxpOperation.DELETE_AGENCY: units.delete_agency,
}

_LISTS: Final = (
    VxpOperation.LIST_AGENCIES,
    VxpOperation.LIST_AGENCIES_102,
    VxpOperation.LIST_UNITS,
    VxpOperation.SYNCHRONIZE,
)
