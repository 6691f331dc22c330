"""Import of agencies: the real table and bad ones."""

import time
from collections import Counter
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shared.contracts.registry import (
    IMPORT_AGENCIES,
    AgenciesChanged,
    ImportAgencies,
    Scope,
)
from shared.identifiers import agency_key, start_of_day

if TYPE_CHECKING:
    from conftest import Node

pytestmark = pytest.mark.filterwarnings("ignore::services.signing.errors.DevelopmentModeWarning")

REAL_TABLE = Path(__file__).parents[3] / "deploy" / "data" / "agencies-2024.csv"
HEADING = "code,code102,name,level,kind,parent,gso_code,lat,lon,valid_from,valid_to"
GOOD = "H43,000.00.00.H43,UBND tỉnh Ninh Thuận,province,peoples_committee,,58,11.69,108.9,2018-01-01,"


def a_table(*lines: str) -> str:
    return "\n".join((HEADING, *lines, ""))


async def test_the_real_table_under_one_province_and_the_ministries(node: "Node") -> None:
    report = await node.import_table(REAL_TABLE.read_bytes(), under=("H43",), levels=("central",))
    assert (report.added, report.changed, report.unchanged, report.errors) == (114, 0, 0, ())
    assert report.passed_over == 11_954 - 114
    agencies, _, _ = await node.read_all()
    counts = Counter((entry.level, entry.kind) for entry in agencies.values())
    assert counts == {
        ("central", "ministry"): 26,
        ("province", "peoples_committee"): 1,
        ("province", "department"): 18,
        ("district", "peoples_committee"): 7,
        ("commune", "peoples_committee"): 62,
    }
    commune = agencies["H43.30.01"]
    assert commune.name == "UBND phường Đô Vinh"
    assert (commune.code102, commune.parent, commune.serving_node) == ("000.01.30.H43", "H43.30", "H43")
    assert commune.key == agency_key("H43.30.01", date(2018, 1, 1))
    assert commune.valid_from == start_of_day(date(2018, 1, 1))
    assert all(entry.valid_to is None for entry in agencies.values()), "a closing is never imported"


async def test_all_of_the_country_in_packs_and_again_without_a_change(node: "Node") -> None:
    table = REAL_TABLE.read_bytes()
    started = time.perf_counter()
    first = await node.import_table(table)
    print(f"first import: {time.perf_counter() - started:.2f} s")  # noqa: T201 - read by whoever measures
    assert (first.added, first.errors) == (11_954, ())
    started = time.perf_counter()
    second = await node.import_table(table)
    print(f"second import: {time.perf_counter() - started:.2f} s")  # noqa: T201 - read by whoever measures
    assert (second.added, second.changed, second.unchanged) == (0, 0, 11_954)
    assert second.version == first.version
    events = await node.events(AgenciesChanged, 24)
    assert [len(event.keys) for event in events] == [500] * 23 + [454]
    keys = {key for event in events for key in event.keys}
    agencies, _, version = await node.read_all()
    assert {entry.key for entry in agencies.values()} == keys
    assert version == first.version


async def test_only_what_differs_is_touched(node: "Node") -> None:
    first = await node.import_table()
    report = await node.import_table(
        a_table(
            GOOD,
            "H43.36,000.00.36.H43,UBND huyện Thuận Nam (mới),district,peoples_committee,H43,589,,,2018-01-01,",
        )
    )
    assert (report.added, report.changed, report.unchanged) == (0, 1, 1)
    page = await node.changes(first.version)
    assert [entry.name for entry in page.agencies] == ["UBND huyện Thuận Nam (mới)"]


async def test_a_dry_run_counts_and_writes_nothing(node: "Node") -> None:
    report = await node.import_table(dry_run=True)
    assert (report.added, report.dry_run) == (5, True)
    agencies, _, version = await node.read_all()
    assert not agencies
    assert report.version == version


async def test_another_node_may_serve_what_is_imported(node: "Node") -> None:
    await node.import_table()
    report = await node.import_table(under=("H43.36",), served_by="H32")
    assert report.changed == 3
    agencies, _, _ = await node.read_all()
    served = {code: entry.serving_node for code, entry in agencies.items()}
    assert served == {"G09": "H43", "H43": "H43", "H43.36": "H32", "H43.36.01": "H32", "H43.36.02": "H32"}


async def test_an_old_code_names_a_subtree_too(node: "Node") -> None:
    report = await node.import_table(under=("000.00.36.H43",))
    assert (report.added, report.passed_over, report.errors) == (3, 2, ())


BAD_LINES = [
    ("h43,,UBND,province,peoples_committee,,,,,2018-01-01,", "bad-code"),
    ("H43,H43,UBND,province,peoples_committee,,,,,2018-01-01,", "bad-code"),
    ("H43.01,,Sở,province,department,../H43,,,,2018-01-01,", "bad-code"),
    ("H43,,UBND,province,peoples_committee,,,,,2018-02-30,", "bad-date"),
    ("H43,,UBND,province,peoples_committee,,,,,20180101,", "bad-date"),
    ("H43,,UBND,province,peoples_committee,,,,,9999-12-31,", "bad-date"),
    ("H43,,UBND,province,peoples_committee,,,,,2018-01-01,2017-01-01", "bad-date"),
    ("H43,,UBND,province,peoples_committee,,,,,,", "bad-date"),
    ("H43.01,,Sở,province,department,H43,,,,2018-01-01,", "unknown-parent"),
    ("H43,,UBND,tỉnh,peoples_committee,,,,,2018-01-01,", "unknown-level"),
    ("H43,,UBND,province,Peoples Committee,,,,,2018-01-01,", "bad-kind"),
    ("H43,,,province,peoples_committee,,,,,2018-01-01,", "bad-name"),
    ("H43,,UBND\x00,province,peoples_committee,,,,,2018-01-01,", "bad-name"),
    ("H43,,UBND,province,peoples_committee,,x,,,2018-01-01,", "bad-gso-code"),
    ("H43,,UBND,province,peoples_committee,,,nan,,2018-01-01,", "bad-coordinate"),
    ("H43,,UBND,province,peoples_committee,,,91,,2018-01-01,", "bad-coordinate"),
    ("H43,,UBND,province,peoples_committee,,,,2018-01-01,", "field-count"),
    ('H43,,"UBND"x,province,peoples_committee,,,,,2018-01-01,', "not-csv"),
    ("H44.01,,Sở,province,department,H44.01,,,,2018-01-01,", "parent-loop"),
]


async def test_a_bad_line_is_named_and_stops_everything(node: "Node") -> None:
    good = "G09,000.00.00.G09,Bộ Nội vụ,central,ministry,,,,,2018-01-01,"
    for line, code in BAD_LINES:
        report = await node.import_table(a_table(good, line))
        assert [(error.line, error.code) for error in report.errors] == [(3, code)], line
        assert (report.added, report.changed) == (0, 0)
    agencies, _, _ = await node.read_all()
    assert not agencies


async def test_a_code_given_twice_is_named(node: "Node") -> None:
    report = await node.import_table(a_table(GOOD, GOOD))
    assert [(error.line, error.code) for error in report.errors] == [(3, "duplicate-code")]


async def test_an_old_code_given_twice_is_named(node: "Node") -> None:
    other = "H44,000.00.00.H43,UBND,province,peoples_committee,,,,,2018-01-01,"
    report = await node.import_table(a_table(GOOD, other))
    assert [(error.line, error.code) for error in report.errors] == [(3, "duplicate-code")]


async def test_a_file_that_is_no_table_is_named(node: "Node") -> None:
    for content, error in [
        (b"code,name\nH43,UBND\n", (1, "missing-column")),
        (b"", (1, "missing-column")),
        (f"{HEADING}\n{GOOD}\n".encode() + "Sở".encode("utf-16"), (3, "not-utf-8")),
        (b"%PDF-1.7\n\x00\x01", (1, "missing-column")),
    ]:
        report = await node.import_table(content)
        assert [(found.line, found.code) for found in report.errors] == [error]


async def test_what_the_request_names_must_be_in_the_file(node: "Node") -> None:
    report = await node.import_table(under=("H99",), levels=("ward",))
    assert {(error.line, error.code) for error in report.errors} == {(0, "unknown-under"), (0, "unknown-level")}


async def test_errors_are_bounded(node: "Node") -> None:
    report = await node.import_table(a_table(*["x,,,,,,,,,,"] * 1_000))
    assert len(report.errors) == 201
    assert report.errors[-1].code == "more-errors"


async def test_a_code_that_an_open_agency_has_is_not_given_to_another(node: "Node") -> None:
    await node.import_table(a_table(GOOD))
    newer = GOOD.replace("2018-01-01", "2024-07-01")
    report = await node.import_table(a_table(newer))
    assert [(error.line, error.code) for error in report.errors] == [(2, "code-in-use")]
    stranger = "H44,000.00.00.H43,UBND,province,peoples_committee,,,,,2018-01-01,"
    report = await node.import_table(a_table(stranger))
    assert [(error.line, error.code) for error in report.errors] == [(2, "code-in-use")]


async def test_two_agencies_may_change_their_old_codes_with_one_another(node: "Node") -> None:
    lines = [
        "H43,000.00.00.H43,UBND,province,peoples_committee,,,,,2018-01-01,",
        "H44,000.00.00.H44,UBND,province,peoples_committee,,,,,2018-01-01,",
    ]
    await node.import_table(a_table(*lines))
    swapped = [lines[0].replace("000.00.00.H43", "000.00.00.H44"), lines[1].replace("000.00.00.H44", "000.00.00.H43")]
    report = await node.import_table(a_table(*swapped))
    assert (report.changed, report.errors) == (2, ())


async def test_a_parent_in_the_register_is_enough(node: "Node") -> None:
    await node.import_table(a_table(GOOD))
    report = await node.import_table(a_table("H43.01,,Sở Nội vụ,province,department,H43,,,,2018-01-01,"))
    assert (report.added, report.errors) == (1, ())


async def test_importing_needs_the_scope_operate(node: "Node") -> None:
    digest = await node.put(b"x")
    token = await node.token(None, Scope.APPROVE)
    request = ImportAgencies(token=token, csv_sha256=digest, as_of=date(2024, 12, 31))
    assert await node.refusal(IMPORT_AGENCIES, request) == "scope-missing"
    nobody = request.model_copy(update={"token": ""})
    assert await node.refusal(IMPORT_AGENCIES, nobody) == "token-missing"


async def test_a_file_too_large_is_refused(node: "Node") -> None:
    digest = await node.put(b"x" * (node.settings.max_import_bytes + 1))
    request = ImportAgencies(token=await node.token(), csv_sha256=digest, as_of=date(2024, 12, 31))
    assert await node.refusal(IMPORT_AGENCIES, request) == "import-refused"
    assert await node.refusal(IMPORT_AGENCIES, request.model_copy(update={"csv_sha256": "../x"})) == "import-refused"
