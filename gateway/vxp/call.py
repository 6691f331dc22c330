from dataclasses import dataclass
from typing import Final
from uuid import UUID

from starlette.requests import Request

from gateway.api.bodies import read_small
from gateway.api.context import Context
from gateway.errors import NotFound
from gateway.limits import RateLimit
from gateway.vxp.operations import VxpOperation
from gateway.vxp.parameters import Parameters, not_ascii, read_parameters, read_signed_bytes
from shared.contracts.registry import CHECK_SIGNED_HEADER
from shared.errors import Rejected

STATUS: Final = "status"
DOCUMENT: Final = "edoc"


@dataclass(frozen=True)
class Call:
    """
    One call whose caller is proved.

    Attributes:
        operation: What is asked.
        request: Its body may still be on the way.
        parameters: The signed ones.
        token: An access token as a REST caller has it; every service checks it for itself.
        context: What the door works with.
    """

    operation: VxpOperation
    request: Request
    parameters: Parameters
    token: str
    context: Context

    @property
    def message_type(self) -> str:
        """
        What the call is about, documents where it does not say.
        """
        return self.parameters.get("messagetype").lower() or DOCUMENT

    async def read_body(self) -> bytes:
        """
        Read a small body whole. Most are `{}`, and a client that waits to be told to go on must hear it.
        """
        settings = self.context.settings
        return await read_small(
            self.request, max_bytes=settings.max_json_bytes, idle_seconds=settings.body_idle_seconds
        )

    def read_id(self, *names: str) -> UUID:
        """
        Read the identifier of an item.

        Raises:
            VxpRequestInvalid: There is none.
            NotFound: It is none of ours.
        """
        text = self.parameters.need(*names).strip()
        try:
            return UUID(text)
        except ValueError:
            raise NotFound(f"Không có {names[0]} này. / There is no such {names[0]}.") from None


async def prove(operation: VxpOperation, request: Request, context: Context, rate: RateLimit) -> Call:
    """
    Prove who calls, then read the parameters: nothing is believed before.

    Raises:
        VxpRequestInvalid, VxpHeaderMismatch: The headers cannot be read.
        VxpHeaderNotAscii: The signature does not fit because letters were lost on the way.
        RejectedElsewhere: It does not fit, or comes from a wrong place.
        TooMany: This system calls too often.
    """
    headers = request.scope["headers"]
    signed = read_signed_bytes(headers)
    client = request.client
    try:
        issued = await context.bus.ask(CHECK_SIGNED_HEADER, signed.question(client.host if client else ""))
    except Rejected as refusal:
        if refusal.problem_code == "vxp-signature" and not signed.is_ascii:
            raise not_ascii() from refusal
        raise
    parameters = read_parameters(signed, headers)
    rate.take(parameters.get("systemid"))
    return Call(operation, request, parameters, issued.access_token, context)
