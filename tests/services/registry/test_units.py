"""Agencies as units: listed with their changes, registered and cancelled by the systems above them."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.contracts.registry import (
    CANCEL_UNIT,
    LIST_UNITS,
    REGISTER_UNIT,
    SET_SYSTEM_STATUS,
    AgencyEntry,
    CancelUnit,
    Credential,
    ListUnits,
    RegisterUnit,
    Role,
    SetSystemStatus,
    SystemStatus,
    Unit,
)
from tests.services.registry.conftest import HEADING, SMALL_TABLE

if TYPE_CHECKING:
    from conftest import Node

pytestmark = pytest.mark.filterwarnings("ignore::services.signing.errors.DevelopmentModeWarning")

CENTRE_TABLE = f"""{HEADING}
000.00.00.X01,,UBND tỉnh Mẫu,province,peoples_committee,,,,,2018-01-01,
vxp.saas.01,,Trung tâm SaaS,central,centre,,,,,2018-01-01,
"""


async def a_centre(node: "Node", *agencies: str, system_id: str = "demo.center.01") -> Credential:
    return await node.add_system(system_id, *(agencies or ("H43.36",)), dialect="vxp")


async def register(node: "Node", centre: Credential, code: str, parent: str = "H43.36", **more: Any) -> AgencyEntry:
    values = {"token": await node.token(centre), "code": code, "parent": parent, "name": "Phòng Mẫu", **more}
    return await node.ask(REGISTER_UNIT, RegisterUnit.model_validate(values))


async def register_refused(node: "Node", centre: Credential, code: str, parent: str = "H43.36", **more: Any) -> str:
    values = {"token": await node.token(centre), "code": code, "parent": parent, "name": "Phòng Mẫu", **more}
    return await node.refusal(REGISTER_UNIT, RegisterUnit.model_validate(values))


async def cancel(node: "Node", centre: Credential, code: str) -> AgencyEntry:
    return await node.ask(CANCEL_UNIT, CancelUnit(token=await node.token(centre), code=code))


async def cancel_refused(node: "Node", centre: Credential, code: str) -> str:
    return await node.refusal(CANCEL_UNIT, CancelUnit(token=await node.token(centre), code=code))


async def units(node: "Node", limit: int = 500) -> tuple[list[Unit], int]:
    found: list[Unit] = []
    cursor = None
    while True:
        page = await node.ask(LIST_UNITS, ListUnits(token=await node.token(), after=cursor, limit=limit))
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found, page.version


async def unit(node: "Node", code: str) -> Unit:
    found, _ = await units(node)
    return [one for one in found if one.code == code][-1]


async def test_the_list_holds_every_agency_with_its_parent_and_its_system(node: "Node") -> None:
    await node.import_table()
    await a_centre(node)
    found, version = await units(node)
    by_code = {one.code: one for one in found}
    assert set(by_code) == {"G09", "H43", "H43.36", "H43.36.01", "H43.36.02"}
    district = by_code["H43.36"]
    assert (district.parent_code, district.parent_key) == ("H43", by_code["H43"].key)
    assert (district.code102, district.centre, district.deleted) == ("000.00.36.H43", "demo.center.01", False)
    assert by_code["H43"].centre is None
    assert by_code["G09"].parent_key is None
    assert version >= max(one.version for one in found)


async def test_pages_follow_each_other_without_gaps(node: "Node") -> None:
    await node.import_table()
    assert await units(node, limit=2) == await units(node)
    bad = ListUnits(token=await node.token(), after="nonsense")
    assert await node.refusal(LIST_UNITS, bad) == "cursor-invalid"


async def test_what_changed_comes_after_everything_else(node: "Node") -> None:
    await node.import_table()
    _, before = await units(node)
    node.clock.moment += timedelta(days=1)
    await node.import_table(SMALL_TABLE.replace("UBND xã Phước Dinh", "UBND xã Phước Diêm"))
    found, after = await units(node)
    assert after > before
    assert (found[-1].name, found[-1].modified_at) == ("UBND xã Phước Diêm", node.clock.moment)
    assert found[-1].version > before


async def test_irregular_identifiers_can_be_imported_and_connected(node: "Node") -> None:
    report = await node.import_table(CENTRE_TABLE)
    assert (report.errors, report.added) == ((), 2)
    credential = await a_centre(node, "000.00.00.X01", "vxp.saas.01")
    assert credential.agencies == ("000.00.00.X01", "vxp.saas.01")
    # Whoever goes by old codes alone finds its units under them.
    entry = await register(node, credential, "000.00.03.X01", "000.00.00.X01")
    assert (entry.code, entry.code102, entry.parent) == ("000.00.03.X01", None, "000.00.00.X01")


async def test_an_identifier_is_not_another_agency_in_its_other_form(node: "Node") -> None:
    await node.import_table()
    row = "000.00.36.H43,,Huyện khác,district,peoples_committee,,,,,2018-01-01,\n"
    report = await node.import_table(f"{HEADING}\n{row}")
    assert [error.code for error in report.errors] == ["code-in-use"]
    both = f"{HEADING}\n{row}H43.36,000.00.36.H43,Huyện,district,peoples_committee,,,,,2018-01-01,\n"
    assert [error.code for error in (await node.import_table(both)).errors] == ["duplicate-code"]


async def test_a_registered_unit_can_send_and_receive_at_once(node: "Node") -> None:
    await node.import_table()
    centre = await a_centre(node)
    entry = await register(node, centre, "000.03.36.H43", "000.00.36.H43", email="p@mau.example", mobile="0900")
    assert (entry.code, entry.code102, entry.level) == ("H43.36.03", "000.03.36.H43", "district")
    agencies, systems, version = await node.read_all()
    assert agencies["H43.36.03"] == entry
    roles = {one.role for one in systems["demo.center.01"].grants if one.agency_key == entry.key}
    assert roles == set(Role)
    shown = await unit(node, "H43.36.03")
    assert (shown.email, shown.parent_code, shown.centre) == ("p@mau.example", "H43.36", "demo.center.01")
    # The same again changes nothing, in whichever form the parent is named.
    node.clock.moment += timedelta(days=1)
    same = {"email": "p@mau.example", "mobile": "0900"}
    assert await register(node, centre, "000.03.36.H43", str(shown.parent_key), **same) == entry
    assert (await node.read_all())[2] == version


async def test_the_same_code_again_is_a_change(node: "Node") -> None:
    await node.import_table()
    centre = await a_centre(node)
    entry = await register(node, centre, "H43.36.03")
    below = await register(node, centre, "H43.36.03.01", "H43.36.03", name="Tổ  một ")
    assert below.name == "Tổ một"
    changed = await register(node, centre, "H43.36.03", name="Phòng Khác", parent="")
    assert (changed.key, changed.name, changed.parent) == (entry.key, "Phòng Khác", "H43.36")
    moved = await register(node, centre, "H43.36.03.01", "H43.36")
    assert moved.parent == "H43.36"
    assert (await unit(node, "H43.36.03")).name == "Phòng Khác"
    assert await register_refused(node, centre, "H43.36.03", "H43.36.03") == "unit-invalid"


async def test_only_what_stands_below_ones_own_can_be_registered(node: "Node") -> None:
    await node.import_table()
    centre = await a_centre(node)
    other = await a_centre(node, "G09", system_id="demo.center.02")
    await register(node, centre, "H43.36.03")
    for who, code, parent in [
        (centre, "H43.99", "H43"),  # beside one's own
        (centre, "G09.01", "G09"),  # below another's
        (centre, "H43.36", "H43.36"),  # one's own itself
        (centre, "G09", "H43.36"),  # another's, drawn below one's own
        (other, "H43.36.03", "G09"),
    ]:
        assert await register_refused(node, who, code, parent) == "agency-not-yours", (code, parent)


async def test_a_unit_that_another_system_receives_for_is_its_own_masters(node: "Node") -> None:
    await node.import_table()
    await a_centre(node, "H43.36.01", system_id="xa-1")
    centre = await a_centre(node)
    assert await register_refused(node, centre, "H43.36.01") == "agency-not-yours"
    assert await cancel_refused(node, centre, "H43.36.01") == "agency-not-yours"
    question = SetSystemStatus(token=await node.token(), system_id="xa-1", status=SystemStatus.DISABLED)
    await node.ask(SET_SYSTEM_STATUS, question)
    assert (await cancel(node, centre, "H43.36.01")).valid_to == node.clock.moment


@pytest.mark.parametrize(
    "changes",
    [
        {"code": ""},
        {"code": "h43.36.03"},
        {"code": "../etc"},
        {"name": " "},
        {"name": "a\0b"},
        {"email": "nobody"},
        {"fax": "1\n2"},
        {"parent": ""},
        {"parent": "H99"},
        {"parent": "10b6f216-ccd2-52d1-8378-628ed1b7faca"},
    ],
)
async def test_what_cannot_be_a_unit_is_refused(node: "Node", changes: dict[str, str]) -> None:
    await node.import_table()
    centre = await a_centre(node)
    values = {"code": "H43.36.03", **changes}
    assert await register_refused(node, centre, **values) == "unit-invalid"


async def test_a_cancelled_unit_is_closed_and_listed_as_deleted(node: "Node") -> None:
    await node.import_table()
    centre = await a_centre(node)
    entry = await register(node, centre, "H43.36.03")
    node.clock.moment += timedelta(hours=1)
    closed = await cancel(node, centre, "000.03.36.H43")
    assert closed == entry.model_copy(update={"valid_to": node.clock.moment})
    shown = await unit(node, "H43.36.03")
    assert (shown.deleted, shown.modified_at) == (True, node.clock.moment)
    version = (await node.read_all())[2]
    node.clock.moment += timedelta(hours=1)
    assert await cancel(node, centre, "H43.36.03") == closed
    assert (await node.read_all())[2] == version
    assert await cancel_refused(node, centre, "H43.36") == "agency-not-yours"
    assert await cancel_refused(node, centre, "H43.77") == "not-found"


async def test_a_unit_with_open_units_below_it_is_not_cancelled(node: "Node") -> None:
    await node.import_table()
    centre = await a_centre(node)
    await register(node, centre, "H43.36.03")
    await register(node, centre, "H43.36.03.01", "H43.36.03")
    assert await cancel_refused(node, centre, "H43.36.03") == "unit-invalid"
    await cancel(node, centre, "H43.36.03.01")
    await cancel(node, centre, "H43.36.03")


async def test_a_cancelled_unit_can_be_registered_again(node: "Node") -> None:
    await node.import_table()
    centre = await a_centre(node)
    first = await register(node, centre, "H43.36.03")
    node.clock.moment += timedelta(hours=1)
    await cancel(node, centre, "H43.36.03")
    node.clock.moment += timedelta(hours=1)
    assert await register(node, centre, "H43.36.03") == first
    await cancel(node, centre, "H43.36.03")
    node.clock.moment += timedelta(days=7)
    second = await register(node, centre, "H43.36.03", name="Phòng Mới")
    assert second.key != first.key
    found, _ = await units(node)
    again = [(one.name, one.deleted, one.centre) for one in found if one.code == "H43.36.03"]
    assert again == [("Phòng Mẫu", True, "demo.center.01"), ("Phòng Mới", False, "demo.center.01")]
