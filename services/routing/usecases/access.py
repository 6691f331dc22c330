"""Who calls, and what that caller may do now."""

from services.routing.domain.register import Mandate, Register
from services.routing.errors import AgencyNotYours, NotFound, RequestInvalid
from services.routing.usecases.context import Context
from shared.contracts.registry import AgencyEntry, Role, SystemEntry, SystemStatus
from shared.errors import FieldError
from shared.tokens import Caller, TokenInvalid


async def authorize(context: Context, token: str, *scopes: str) -> Mandate:
    """
    Check a caller's proof and see what it may act for.

    Raises:
        TokenMissing, TokenInvalid, ScopeMissing: The token does not do, or its system or credential is no longer good.
        Unavailable: Keys or register are out of reach.
    """
    caller = await context.verifier.verify(token, *scopes)
    register = await context.register.current()
    system = _active(register, caller)
    if system is None:
        # A system added a moment ago is known to the registry before the next beat tells us.
        register = await context.register.refresh()
        system = _active(register, caller)
    if system is None:
        raise TokenInvalid(
            "Hệ thống hoặc thông tin xác thực không còn hiệu lực. / The system or its credential has ended."
        )
    narrowed = None
    if caller.agencies is not None:
        narrowed = frozenset(entry.key for code in caller.agencies for entry in register.all_with(code))
    return Mandate(register, system, caller.credential_id, narrowed, context.clock.now())


def _active(register: Register, caller: Caller) -> SystemEntry | None:
    system = register.systems.get(caller.system_id)
    if system is None or system.status is not SystemStatus.ACTIVE or caller.credential_id not in system.credentials:
        return None
    return system


def choose_agency(mandate: Mandate, code: str, *roles: Role) -> AgencyEntry:
    """
    Find the agency a caller names among those it may act for.

    Raises:
        AgencyNotYours: It is not one of them.
    """
    entry = mandate.register.find(code, mandate.at)
    if entry is None or not mandate.may(entry.key, *roles):
        raise AgencyNotYours(f"Không được thay mặt cơ quan {code}. / You may not act so for {code}.")
    return entry


def find_agency(register: Register, mandate: Mandate, code: str) -> AgencyEntry:
    """
    Find any agency an operator names, open or closed.

    Raises:
        RequestInvalid: There is none.
    """
    entry = register.find(code, mandate.at) or next(iter(register.all_with(code)), None)
    if entry is None:
        detail = f"Không có cơ quan {code} trong danh bạ. / There is no agency {code} in the register."
        raise RequestInvalid(detail, errors=[FieldError(pointer="/agency", code="agency-unknown", detail=detail)])
    return entry


def not_found(what: str) -> NotFound:
    """
    The refusal for what is not there and for what is not the caller's to see; nobody can tell the two apart.
    """
    return NotFound(f"Không tìm thấy {what}. / Not found.")
