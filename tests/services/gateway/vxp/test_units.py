"""
Units: the whole register in one answer, kept while it does not change, and changes below one's own.
"""

from uuid import UUID

import pytest

from shared.contracts import registry
from shared.contracts.registry import CANCEL_UNIT, LIST_UNITS, REGISTER_UNIT, UnitPage
from tests.services.gateway.vxp.world import STATUS_ID, UNIT, VxpWorld
from tests.services.gateway.world import ID, refused
from tests.vxp.reading import Result
from tests.vxp.sdk import JavaSdk

ROOT = UNIT.model_copy(update={"parent_key": None, "code102": None, "email": None, "centre": None, "code": "H43"})
CLOSED = UNIT.model_copy(update={"deleted": True, "code": "H43.99"})


def rows(result: Result | None) -> list[dict[str, object]]:
    assert result is not None
    assert result.ok, result.error_desc
    found: list[dict[str, object]] = result.data
    return found


async def test_agencies_come_with_their_parents_and_their_older_code(vxp: VxpWorld) -> None:
    assert rows(await vxp.client().get_agencies_list()) == [
        {
            "id": str(ID),
            "pid": str(STATUS_ID),
            "code": "H43.30",
            "name": "Sở Mẫu",
            "mail": "s@mau.example",
            "oldCode": "000.00.30.H43",
        }
    ]


async def test_the_newer_list_has_a_column_for_the_older_code(vxp: VxpWorld) -> None:
    (row,) = rows(await vxp.client().get_agencies_list_qd20(level="1"))
    assert (row["code"], row["code102"]) == ("H43.30", "000.00.30.H43")


async def test_changes_come_with_version_and_deletion_in_their_own_types(vxp: VxpWorld) -> None:
    vxp.answers(LIST_UNITS, UnitPage(items=(UNIT, CLOSED), version=7))
    first, closed = rows(await vxp.client().get_synchronize_unit())
    assert (first["version"], first["deleted"], first["isAgency"]) == (7, False, True)
    assert (first["centerCode"], first["modifyDate"]) == ("demo.center.01", "31/12/2024 15:00:00")
    assert closed["deleted"] is True


async def test_closed_units_are_only_in_the_list_of_changes(vxp: VxpWorld) -> None:
    vxp.answers(LIST_UNITS, UnitPage(items=(CLOSED, UNIT), version=7))
    assert [row["code"] for row in rows(await vxp.client().get_agencies_list())] == ["H43.30"]
    assert [row["code"] for row in rows(await vxp.client().get_agencies_list_qd20())] == ["H43.30"]


async def test_members_without_a_value_are_left_out(vxp: VxpWorld) -> None:
    vxp.answers(LIST_UNITS, UnitPage(items=(ROOT,), version=7))
    for ask in (JavaSdk.get_agencies_list, JavaSdk.get_agencies_list_qd20, JavaSdk.get_synchronize_unit):
        (row,) = rows(await ask(vxp.client()))
        assert not {"pid", "mail", "oldCode", "code102", "centerCode"} & row.keys()


async def test_a_register_without_units_is_an_empty_list(vxp: VxpWorld) -> None:
    vxp.answers(LIST_UNITS, UnitPage(items=(), version=0))
    assert rows(await vxp.client().get_agencies_list()) == []


class Register:
    """
    Pages of many units.
    """

    def __init__(self, size: int) -> None:
        self.units = [
            UNIT.model_copy(update={"key": UUID(int=number), "code": f"H43.{number}"}) for number in range(size)
        ]
        self.version = 1

    def __call__(self, question: registry.ListUnits) -> UnitPage:
        start = int(question.after or 0)
        end = start + question.limit
        cursor = str(end) if end < len(self.units) else None
        return UnitPage(items=tuple(self.units[start:end]), version=self.version, next_cursor=cursor)


async def test_a_hundred_and_eleven_thousand_units_come_in_one_answer_and_are_kept(vxp: VxpWorld) -> None:
    vxp.answers(LIST_UNITS, Register(111_000))
    client = vxp.client()
    first = rows(await client.get_agencies_list())
    assert (len(first), len({row["id"] for row in first})) == (111_000, 111_000)
    asked = len(vxp.asked(LIST_UNITS))
    assert len(rows(await client.get_agencies_list())) == 111_000
    assert [question.limit for question in vxp.asked(LIST_UNITS)[asked:]] == [1]


async def test_a_changed_register_is_read_again(vxp: VxpWorld) -> None:
    register = Register(3)
    vxp.answers(LIST_UNITS, register)
    client = vxp.client()
    assert len(rows(await client.get_agencies_list())) == 3
    register.units.append(UNIT)
    register.version = 2
    assert len(rows(await client.get_agencies_list())) == 4


async def test_a_register_that_changes_while_it_is_read_is_read_once_more(vxp: VxpWorld) -> None:
    register = Register(600)

    def answer(question: registry.ListUnits) -> UnitPage:
        if question.after and register.version == 1:
            register.version = 2
        return register(question)

    vxp.answers(LIST_UNITS, answer)
    assert len(rows(await vxp.client().get_agencies_list())) == 600
    assert len([question for question in vxp.asked(LIST_UNITS) if question.after is None]) == 3


async def test_a_caller_that_is_refused_gets_no_list_that_is_kept(vxp: VxpWorld) -> None:
    await vxp.client().get_agencies_list()
    vxp.answers(LIST_UNITS, refused("token-invalid"))
    result = await vxp.client().get_agencies_list()
    assert result is not None
    assert result.status == "FAIL"


@pytest.mark.parametrize("parent", ["pcode", "pid"])
async def test_a_unit_is_registered_below_a_parent_in_either_spelling(vxp: VxpWorld, parent: str) -> None:
    unit = {"id": "", parent: "H43.30", "code": "H43.30.9", "name": "Phòng Mẫu", "mail": "p@x.example", "fax": "1"}
    result = await vxp.client().register_agency(unit)
    assert result is not None
    assert result.ok
    (question,) = vxp.asked(REGISTER_UNIT)
    assert (question.code, question.parent, question.name) == ("H43.30.9", "H43.30", "Phòng Mẫu")
    assert (question.email, question.mobile, question.fax) == ("p@x.example", "", "1")


async def test_the_key_of_the_parent_may_stand_for_its_code(vxp: VxpWorld) -> None:
    await vxp.client().register_agency({"pcode": str(ID), "code": "a", "name": "b"})
    assert vxp.asked(REGISTER_UNIT)[0].parent == str(ID)


@pytest.mark.parametrize(
    "unit", [{"code": "", "name": "x"}, {"code": "x", "name": ""}, {"code": "x" * 65, "name": "x"}]
)
async def test_a_unit_without_code_or_name_is_refused(vxp: VxpWorld, unit: dict[str, str]) -> None:
    result = await vxp.client().register_agency(unit)
    assert result is not None
    assert (result.status, result.error_code) == ("FAIL", "10")
    assert vxp.asked(REGISTER_UNIT) == []


async def test_a_unit_is_cancelled_by_its_code(vxp: VxpWorld) -> None:
    result = await vxp.client().delete_agency("H43.30.9")
    assert result is not None
    assert result.ok
    assert vxp.asked(CANCEL_UNIT)[0].code == "H43.30.9"


async def test_a_unit_that_is_not_below_ones_own_is_refused(vxp: VxpWorld) -> None:
    vxp.answers(CANCEL_UNIT, refused("agency-not-yours"))
    result = await vxp.client().delete_agency("H44")
    assert result is not None
    assert (result.status, result.error_code) == ("FAIL", "19")
