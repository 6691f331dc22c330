"""Units that other systems register: what they may look like, and which agency they become."""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.registry.errors import UnitInvalid
from shared.contracts.registry import AgencyEntry, RegisterUnit
from shared.errors import FieldError
from shared.identifiers import is_irregular_form, is_new_form, is_old_form, new_form_of

KIND = "unit"
"""What kind of agency a unit is, its system does not say."""

MAX_DEPTH = 32
"""No administration is deeper; a chain of parents is followed no further."""

_MAX_NAME = 300
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True)
class UnitDetails:
    """
    What is written about a unit, checked.
    """

    code: str
    name: str
    email: str | None
    mobile: str | None
    fax: str | None


@dataclass(frozen=True)
class Ground:
    """
    Where in the register a unit stands or is to stand: an agency, with everything above it up to the top.
    """

    chain: Sequence[AgencyEntry]

    def owner_in(self, own: Collection[UUID]) -> AgencyEntry | None:
        """
        Give the nearest agency of the chain that is among those given.
        """
        return next((entry for entry in self.chain if entry.key in own), None)

    def holds(self, key: UUID) -> bool:
        """
        Tell whether an agency is in the chain.
        """
        return any(entry.key == key for entry in self.chain)


def read_details(request: RegisterUnit) -> UnitDetails:
    """
    Check what a system says about a unit; everything wrong is named at once.

    Raises:
        UnitInvalid: It cannot be written so.
    """
    code = request.code.strip()
    name = unicodedata.normalize("NFC", " ".join(request.name.split()))
    email = request.email.strip()
    found: Mapping[str, str | None] = {
        "/code": None if is_code(code) else "an identifier such as 000.00.03.H43, H43.03 or vxp.saas.01 is needed",
        "/name": None
        if 0 < len(name) <= _MAX_NAME and name.isprintable()
        else "a name of 1 to 300 characters is needed",
        "/mail": None if not email or (_EMAIL.fullmatch(email) and email.isprintable()) else "this is no mail address",
        "/mobile": None if request.mobile.isprintable() else "a telephone number on one line is needed",
        "/fax": None if request.fax.isprintable() else "a fax number on one line is needed",
    }
    errors = [
        FieldError(pointer=pointer, code=UnitInvalid.code, detail=detail)
        for pointer, detail in found.items()
        if detail is not None
    ]
    if errors:
        raise UnitInvalid(errors[0].detail, errors=errors)
    return UnitDetails(
        code=code,
        name=name,
        email=email or None,
        mobile=request.mobile.strip() or None,
        fax=request.fax.strip() or None,
    )


def both_forms(code: str, parent: AgencyEntry) -> tuple[str, str | None]:
    """
    Give the identifier of a new unit and its old form, or None.

    An old-form code becomes a new one by the default rule only where the unit above has a new one too: whoever goes by
    old codes alone finds its units under them.
    """
    if is_old_form(code) and is_new_form(parent.code):
        return new_form_of(code), code
    return code, None


def is_code(code: str) -> bool:
    """
    Tell whether an agency can have this identifier.
    """
    return is_new_form(code) or is_old_form(code) or is_irregular_form(code)


def read_key(text: str) -> UUID | None:
    """
    Read an agency key; None if it is none.
    """
    try:
        return UUID(text)
    except ValueError:
        return None
