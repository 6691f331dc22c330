"""Agencies as units: three lists of everything, and changes below one's own."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.responses import Response, StreamingResponse

from gateway.api.bodies import has_unstorable_text
from gateway.api.context import Context
from gateway.vxp.answers import CLOSE, JSON_TYPE, done, opening, write, write_time
from gateway.vxp.call import Call
from gateway.vxp.errors import VxpRequestInvalid
from gateway.vxp.operations import VxpOperation
from shared.contracts.registry import (
    CANCEL_UNIT,
    LIST_UNITS,
    REGISTER_UNIT,
    CancelUnit,
    ListUnits,
    RegisterUnit,
    Unit,
    UnitPage,
)

_PAGE: Final = 500
_TRIES: Final = 3


def _agency(unit: Unit) -> Mapping[str, Any] | None:
    if unit.deleted:
        return None
    return {
        "id": str(unit.key),
        "pid": None if unit.parent_key is None else str(unit.parent_key),
        "code": unit.code,
        "name": unit.name,
        "mail": unit.email or None,
        "oldCode": unit.code102,
    }


def _agency_102(unit: Unit) -> Mapping[str, Any] | None:
    if unit.deleted:
        return None
    return {
        "id": str(unit.key),
        "code": unit.code,
        "name": unit.name,
        "mail": unit.email or None,
        "code102": unit.code102,
    }


def _change(unit: Unit) -> Mapping[str, Any]:
    return {
        "id": str(unit.key),
        "pid": None if unit.parent_key is None else str(unit.parent_key),
        "code": unit.code,
        "name": unit.name,
        "mail": unit.email or None,
        "version": unit.version,
        "centerCode": unit.centre,
        "deleted": unit.deleted,
        "modifyDate": write_time(unit.modified_at),
        "isAgency": True,
    }


_FORMS: Final[Mapping[VxpOperation, Callable[[Unit], Mapping[str, Any] | None]]] = {
    VxpOperation.LIST_AGENCIES: _agency,
    VxpOperation.LIST_UNITS: _agency,
    VxpOperation.LIST_AGENCIES_102: _agency_102,
    VxpOperation.SYNCHRONIZE: _change,
}


@dataclass(frozen=True)
class _Kept:
    """
    A list as it is sent, in pieces that are compressed while they wait.

    Attributes:
        version: Of the register it shows.
        length: Bytes of the answer.
    """

    version: int
    pieces: tuple[bytes, ...]
    length: int

    async def read(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield zlib.decompress(piece)


@dataclass
class UnitLists:
    """
    The lists of all units, written once for each version of the register: there may be more than a hundred thousand.
    """

    context: Context
    _kept: dict[Callable[[Unit], Mapping[str, Any] | None], _Kept] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def answer(self, call: Call) -> Response:
        """
        Give the list that an operation wants.
        """
        await call.read_body()
        form = _FORMS[call.operation]
        # One unit is asked for every time: it proves that the caller may ask, and tells the version.
        newest = await self.context.bus.ask(LIST_UNITS, ListUnits(token=call.token, limit=1))
        kept = self._kept.get(form)
        if kept is None or kept.version != newest.version:
            async with self._lock:
                kept = self._kept.get(form)
                if kept is None or kept.version < newest.version:
                    kept = self._kept[form] = await self._write(call.token, form)
        headers = {**CLOSE, "Content-Length": str(kept.length), "Cache-Control": "no-store"}
        return StreamingResponse(kept.read(), media_type=JSON_TYPE, headers=headers)

    async def _write(self, token: str, form: Callable[[Unit], Mapping[str, Any] | None]) -> _Kept:
        for _ in range(_TRIES):
            kept, steady = await self._write_once(token, form)
            if steady:
                break
        # A register that never rests gives a list in which some units stand twice, the newer row last.
        return kept

    async def _write_once(self, token: str, form: Callable[[Unit], Mapping[str, Any] | None]) -> tuple[_Kept, bool]:
        pieces: list[bytes] = []
        length, written = 0, 0
        version: int | None = None
        cursor: str | None = None
        while True:
            page: UnitPage = await self.context.bus.ask(LIST_UNITS, ListUnits(token=token, limit=_PAGE, after=cursor))
            version = page.version if version is None else version
            rows = [write(row) for row in map(form, page.items) if row is not None]
            text = (b"," if written and rows else b"") + b",".join(rows)
            text = (b"" if pieces else opening("data") + b"[") + text
            cursor = page.next_cursor
            if cursor is None:
                text += b"]}"
            written += len(rows)
            length += len(text)
            pieces.append(zlib.compress(text, 1))
            if cursor is None:
                return _Kept(version, tuple(pieces), length), page.version == version


async def register_agency(call: Call) -> Response:
    """
    Register a unit below the caller's own, or change it.
    """
    body = await call.read_body()
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict) or has_unstorable_text(given):
        raise VxpRequestInvalid("Nội dung phải là JSON của một đơn vị. / The body must be a unit in JSON.")

    def member(*names: str, limit: int) -> str:
        found = next((given[name] for name in names if given.get(name) not in (None, "")), "")
        if not isinstance(found, (str, int)) or len(str(found)) > limit:
            raise VxpRequestInvalid(f"{names[0]} không hợp lệ. / {names[0]} is not valid.")
        return str(found).strip()

    question = RegisterUnit(
        token=call.token,
        code=member("code", limit=64),
        parent=member("pcode", "pid", limit=64),
        name=member("name", limit=500),
        email=member("mail", limit=254),
        mobile=member("mobile", limit=64),
        fax=member("fax", limit=64),
    )
    missing = [name for name in ("code", "name") if not getattr(question, name)]
    if missing:
        raise VxpRequestInvalid(f"Thiếu {missing[0]}. / {missing[0]} is missing.")
    await call.context.bus.ask(REGISTER_UNIT, question)
    return done()


async def delete_agency(call: Call) -> Response:
    """
    Cancel a unit below the caller's own.
    """
    await call.read_body()
    code = call.parameters.need("AgencyCode").strip()
    if len(code) > 64:
        raise VxpRequestInvalid("AgencyCode không hợp lệ. / AgencyCode is not valid.")
    await call.context.bus.ask(CANCEL_UNIT, CancelUnit(token=call.token, code=code))
    return done()
