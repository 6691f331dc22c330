"""What can be asked, and which addresses ask it."""

from enum import StrEnum
from typing import Final

BASE: Final = "vxp"
"""Last step of the base address we publish; a client adds a slash and the operation, whatever stands before."""


class VxpOperation(StrEnum):
    """
    An operation by the name in its address; capitals count.
    """

    SEND_EDOC = "sendEdoc"
    LIST_RECEIVED = "getReceivedEdocList"
    GET_EDOC = "getEdoc"
    DOWNLOAD_EDOC = "downloadEdoc"
    UPDATE_STATUS = "updateStatus"
    LIST_SENT = "getSentEdocList"
    LIST_AGENCIES = "getAgenciesList"
    LIST_AGENCIES_102 = "getAgenciesListQD20"
    LIST_UNITS = "getListUnit"
    """Only the .NET client has this one; it gets what `getAgenciesList` gives."""
    SYNCHRONIZE = "getSynchronizeUnit"
    REGISTER_AGENCY = "registerAgency"
    DELETE_AGENCY = "deleteAgency"
    COUNT_DOCUMENTS = "countReceiveEdoc"
    COUNT_STATUSES = "countReceiveStatus"


_NAMES: Final = frozenset(operation.value for operation in VxpOperation)

_CHANGING: Final = frozenset(
    {
        VxpOperation.SEND_EDOC,
        VxpOperation.UPDATE_STATUS,
        VxpOperation.REGISTER_AGENCY,
        VxpOperation.DELETE_AGENCY,
    }
)


def steps_of(path: str) -> list[str]:
    """
    Split an address; doubled slashes, which clients make where a base address ends in one, count once.
    """
    return [step for step in path.split("/") if step]


def is_vxp(path: str) -> bool:
    """
    Tell whether an address is of this dialect: under our base, or an operation under whatever base a client kept.
    """
    steps = steps_of(path)
    return bool(steps) and (steps[-1] in _NAMES or (len(steps) > 1 and steps[-2] == BASE))


def find_operation(path: str) -> VxpOperation | None:
    """
    Read which operation an address names; None where there is no such one.
    """
    name = steps_of(path)[-1]
    return VxpOperation(name) if name in _NAMES else None


def methods_of(operation: VxpOperation) -> frozenset[str]:
    """
    Say how an operation may be asked. Clients disagree about what only reads (their code says GET where the line has
    POST), so both are taken for that.
    """
    return frozenset({"POST"}) if operation in _CHANGING else frozenset({"GET", "POST"})
