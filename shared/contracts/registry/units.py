"""Agencies as units of the national dialect: listed with changes, registered and cancelled by systems above them."""

from uuid import UUID

from pydantic import Field

from shared.contracts.base import Contract, Moment, Operation
from shared.contracts.registry.changes import AgencyEntry


class RegisterUnit(Contract):
    """
    Register an agency strictly below one of the calling system, or change it: the same code again is a change.

    Attributes:
        code: Its identifier, in either form or an irregular one.
        parent: Identifier of the agency above it, in any form, or its key.
    """

    token: str
    code: str = Field(max_length=64)
    parent: str = Field(max_length=64)
    name: str = Field(max_length=500)
    email: str = Field(default="", max_length=254)
    mobile: str = Field(default="", max_length=64)
    fax: str = Field(default="", max_length=64)


class CancelUnit(Contract):
    """
    Close an agency strictly below one of the calling system; one that is closed already stays so.
    """

    token: str
    code: str = Field(max_length=64)


class ListUnits(Contract):
    """
    A page of all agencies that are or ever were in the register, in the order of their last change.

    Attributes:
        after: `next_cursor` of the page before.
    """

    token: str
    after: str | None = None
    limit: int = Field(default=500, ge=1, le=500)


class Unit(Contract):
    """
    An agency as a unit.

    Attributes:
        version: Of its last change; greater than that of any change before.
        deleted: It is closed.
        centre: System that receives for it; None: none does.
    """

    key: UUID
    code: str
    code102: str | None = None
    parent_key: UUID | None = None
    parent_code: str | None = None
    name: str
    email: str | None = None
    version: int
    deleted: bool
    modified_at: Moment
    serving_node: str
    centre: str | None = None


class UnitPage(Contract):
    """
    A page of units.

    Attributes:
        version: Of the whole list as this page was read: a list kept under it is good until it rises. When it rises
            between two pages, what changed meanwhile comes again on a later page.
    """

    items: tuple[Unit, ...]
    version: int
    next_cursor: str | None = None


REGISTER_UNIT = Operation("registry.register_unit", RegisterUnit, AgencyEntry)
CANCEL_UNIT = Operation("registry.cancel_unit", CancelUnit, AgencyEntry)
LIST_UNITS = Operation("registry.list_units", ListUnits, UnitPage)
