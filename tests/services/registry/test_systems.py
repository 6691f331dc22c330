"""Systems and the directory, as administrators and callers see them."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from services.registry.app import bootstrap
from services.registry.tables import metadata
from shared.contracts.base import Nothing
from shared.contracts.dead import ListDead, dead_operations
from shared.contracts.registry import (
    ADD_SYSTEM,
    ISSUE_TOKEN,
    LIST_AGENCIES,
    LIST_SYSTEMS,
    READ_AGENCY,
    READ_HEALTH,
    SET_SYSTEM_STATUS,
    AddSystem,
    IssueToken,
    ListAgencies,
    ListSystems,
    ReadAgency,
    Role,
    SetSystemStatus,
    SystemEntry,
    SystemStatus,
)
from shared.errors import Rejected
from shared.identifiers import Uuid7Source
from shared.testing.pki import a_certificate_request, a_p256_key, an_rsa_key
from shared.testing.postgres import SampleDatabase

if TYPE_CHECKING:
    from conftest import Node

pytestmark = pytest.mark.filterwarnings("ignore::services.signing.errors.DevelopmentModeWarning")

COMMUNE = "H43.36.01"


async def roles_of(node: "Node", entry: SystemEntry) -> dict[str, set[Role]]:
    agencies, _, _ = await node.read_all()
    codes = {agency.key: agency.code for agency in agencies.values()}
    roles: dict[str, set[Role]] = {}
    for grant in entry.grants:
        roles.setdefault(codes[grant.agency_key], set()).add(grant.role)
    return roles


async def test_the_tables_are_those_the_migration_makes(database: SampleDatabase) -> None:
    def differences(connection: Connection) -> list[object]:
        def is_ours(name: str | None, kind: str, _: object) -> bool:
            return name == "registry" if kind == "schema" else name != "schema_version"

        options = {"include_schemas": True, "include_name": is_ours, "compare_type": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    # As the superuser: to the role itself its schema is the default one, which goes without a name.
    engine = create_async_engine(database.admin_dsn().replace("postgresql://", "postgresql+asyncpg://"))
    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []
    finally:
        await engine.dispose()


async def test_a_system_gets_what_it_was_opened_for(node: "Node") -> None:
    await node.import_table()
    keys = [
        {"purpose": "seal", "csr": a_certificate_request(a_p256_key())},
        {"purpose": "auth", "csr": a_certificate_request(an_rsa_key("auth"))},
    ]
    credential = await node.add_system("xa-1", COMMUNE, "000.02.36.H43", keys=keys)
    assert credential.agencies == (COMMUNE, "H43.36.02")
    assert [key.purpose for key in credential.keys] == ["seal", "auth"]
    assert credential.warnings == ()
    _, systems, _ = await node.read_all()
    entry = systems["xa-1"]
    assert await roles_of(node, entry) == {COMMUNE: set(Role), "H43.36.02": set(Role)}
    assert len(entry.seals) == 1, "the certificate for connections is no seal"
    assert entry.credentials == (credential.credential_id,)


async def test_only_the_first_system_of_an_agency_receives_for_it(node: "Node") -> None:
    await node.import_table()
    await node.add_system("xa-1", COMMUNE)
    second = await node.add_system("xa-2", COMMUNE, "H43.36.02")
    assert len(second.warnings) == 1
    assert COMMUNE in second.warnings[0]
    _, systems, _ = await node.read_all()
    assert await roles_of(node, systems["xa-2"]) == {
        COMMUNE: {Role.SENDER, Role.READER},
        "H43.36.02": set(Role),
    }


async def test_of_many_systems_opened_at_once_one_receives(node: "Node") -> None:
    await node.import_table()
    await asyncio.gather(*(node.add_system(f"xa-{number}", COMMUNE) for number in range(8)))
    _, systems, _ = await node.read_all()
    receivers = [
        entry.id for entry in systems.values() if Role.RECEIVER in (await roles_of(node, entry)).get(COMMUNE, set())
    ]
    assert len(receivers) == 1
    assert len(systems) == 9


async def test_the_database_itself_refuses_a_second_receiver(node: "Node") -> None:
    await node.import_table()
    await node.add_system("xa-1", COMMUNE)
    await node.add_system("xa-2", COMMUNE)
    with pytest.raises(asyncpg.UniqueViolationError):
        await node.rows(
            "INSERT INTO registry.grants SELECT 'xa-2', agency_key, role, granted_at, NULL "
            "FROM registry.grants WHERE role = 'receiver'"
        )


async def test_a_disabled_system_passes_its_receiving_on(node: "Node") -> None:
    await node.import_table()
    await node.add_system("xa-1", COMMUNE, "H43.36.02")
    change = SetSystemStatus(token=await node.token(), system_id="xa-1", status=SystemStatus.DISABLED)
    await node.ask(SET_SYSTEM_STATUS, change)
    second = await node.add_system("xa-2", COMMUNE)
    assert second.warnings == ()
    _, systems, _ = await node.read_all()
    assert await roles_of(node, systems["xa-2"]) == {COMMUNE: set(Role)}
    assert await roles_of(node, systems["xa-1"]) == {
        COMMUNE: {Role.SENDER, Role.READER},
        "H43.36.02": set(Role),
    }


async def test_what_cannot_be_opened_is_refused(node: "Node") -> None:
    await node.import_table()
    request = a_certificate_request(a_p256_key())
    for changes, code in [
        ({"agencies": ("H99", "x\0y", COMMUNE)}, "agencies-refused"),
        ({"dialect": "soap"}, "system-invalid"),
        ({"secret": "a-secret-of-its-own"}, "system-invalid"),
        ({"sources": ("203.0.113.0/24",)}, "system-invalid"),
        ({"dialect": "vxp", "secret": "short"}, "system-invalid"),
        ({"dialect": "vxp", "secret": "mật khẩu của tôi"}, "system-invalid"),
        ({"dialect": "vxp", "sources": ("203.0.113.7/24",)}, "system-invalid"),
        ({"name": "a\nb"}, "system-invalid"),
        ({"keys": [{"purpose": "seal", "csr": "nonsense"}]}, "certificate-request-invalid"),
        ({"keys": [{"purpose": "ca", "csr": request}]}, "certificate-request-invalid"),
        (
            {"keys": [{"purpose": "seal", "csr": request}] * 2},
            "certificate-request-invalid",
        ),
    ]:
        with pytest.raises(Rejected) as refused:
            await node.add_system("xa-1", **{"agencies": (COMMUNE,), **changes})
        assert refused.value.problem_code == code, changes
    _, systems, _ = await node.read_all()
    assert set(systems) == {"administrator"}


async def test_all_wrong_agencies_are_named_at_once(node: "Node") -> None:
    await node.import_table()
    with pytest.raises(Rejected) as refused:
        await node.add_system("xa-1", "H99", COMMUNE, "H98")
    assert [error.pointer for error in refused.value.errors] == ["/agencies/0", "/agencies/2"]


async def test_an_identifier_is_given_once_whatever_its_case(node: "Node") -> None:
    await node.add_system("xa-1")
    request = AddSystem(token=await node.token(), system_id="XA-1", name="x")
    assert await node.refusal(ADD_SYSTEM, request) == "system-id-taken"


async def test_nobody_grants_more_than_they_have(node: "Node") -> None:
    operator = await node.token(None, "operate")
    request = AddSystem(token=operator, system_id="boss", name="x", scopes=("operate", "approve"))
    assert await node.refusal(ADD_SYSTEM, request) == "scope-missing"


async def test_systems_are_listed_in_pages(node: "Node") -> None:
    for number in range(3):
        await node.add_system(f"xa-{number}")
    request = ListSystems(token=await node.token(), limit=3)
    first = await node.ask(LIST_SYSTEMS, request)
    assert [entry.id for entry in first.items] == ["administrator", "xa-0", "xa-1"]
    rest = await node.ask(LIST_SYSTEMS, request.model_copy(update={"cursor": first.next_cursor}))
    assert ([entry.id for entry in rest.items], rest.next_cursor) == (["xa-2"], None)
    assert await node.refusal(LIST_SYSTEMS, request.model_copy(update={"cursor": "x"})) == "cursor-invalid"


async def test_the_administrator_finds_its_way_back_in(node: "Node") -> None:
    used = await node.token()
    again = await bootstrap(node.settings, clock=node.clock, new_id=Uuid7Source(node.clock))
    assert again.credential_id != node.administrator.credential_id
    third = await bootstrap(node.settings, clock=node.clock, new_id=Uuid7Source(node.clock))
    assert third.credential_id == again.credential_id, "as long as it is not in use only the secret is replaced"
    assert await node.refusal(LIST_SYSTEMS, ListSystems(token=used)) == "token-invalid"
    refused = IssueToken(client_id="administrator", client_secret=again.secret)
    assert await node.refusal(ISSUE_TOKEN, refused) == "invalid-client"
    page = await node.ask(LIST_SYSTEMS, ListSystems(token=await node.token(third)))
    assert [entry.id for entry in page.items] == ["administrator"]


async def test_the_registry_is_ready_and_has_no_dead_messages(node: "Node") -> None:
    assert (await node.ask(READ_HEALTH, Nothing())).ready
    dead = await node.ask(dead_operations("registry").list, ListDead(token=await node.token()))
    assert dead.items == ()


# --- the directory ---


async def test_the_directory_is_searched_without_accents_and_by_code(node: "Node") -> None:
    await node.import_table()
    for query, codes in [
        ("phuoc", ["H43.36.01", "H43.36.02"]),
        ("PHƯỚC dinh", ["H43.36.01"]),
        ("dinh phuoc", ["H43.36.01"]),
        ("H43.36", ["H43.36", "H43.36.01", "H43.36.02"]),
        ("000.01", ["H43.36.01"]),
        ("100%", []),
        ("_", []),
        ("\0phuoc\0dinh", ["H43.36.01"]),
        ("h43.36.02", ["H43.36.02"]),
    ]:
        page = await node.ask(LIST_AGENCIES, ListAgencies(query=query))
        assert [entry.code for entry in page.items] == codes, query


async def test_the_directory_is_narrowed_by_level_and_parent(node: "Node") -> None:
    await node.import_table()
    page = await node.ask(LIST_AGENCIES, ListAgencies(level="commune", parent="000.00.36.H43"))
    assert [entry.code for entry in page.items] == ["H43.36.01", "H43.36.02"]
    for nothing in (ListAgencies(level="x\0"), ListAgencies(parent="x\0"), ListAgencies(parent="H99")):
        assert (await node.ask(LIST_AGENCIES, nothing)).items == ()


async def test_the_directory_is_paged_in_vietnamese_order(node: "Node") -> None:
    await node.import_table()
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await node.ask(LIST_AGENCIES, ListAgencies(limit=2, cursor=cursor))
        seen += [entry.name for entry in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == [
        "Bộ Nội vụ",
        "UBND huyện Thuận Nam",
        "UBND tỉnh Ninh Thuận",
        "UBND xã Phước Dinh",
        "UBND xã Phước Nam",
    ]
    half_a_pair = base64.urlsafe_b64encode(json.dumps(["\ud800", str(UUID(int=1))]).encode()).decode()
    for cursor in ("x", "WzEsMl0", "WyJhIiwgImIiXQ", "é", half_a_pair):
        assert await node.refusal(LIST_AGENCIES, ListAgencies(cursor=cursor)) == "cursor-invalid"


async def test_an_agency_is_read_by_either_form_as_of_a_moment(node: "Node") -> None:
    await node.import_table()
    for code in (COMMUNE, "000.01.36.H43"):
        assert (await node.ask(READ_AGENCY, ReadAgency(code=code))).name == "UBND xã Phước Dinh"
    before = datetime(2017, 12, 31, 16, 59, tzinfo=UTC)
    first = ReadAgency(code=COMMUNE, at=before + timedelta(minutes=1))
    assert (await node.ask(READ_AGENCY, first)).code == COMMUNE
    assert await node.refusal(READ_AGENCY, ReadAgency(code=COMMUNE, at=before)) == "not-found"
    for code in ("H99", "", "x\0", "x" * 1_000):
        assert await node.refusal(READ_AGENCY, ReadAgency(code=code)) == "not-found"


async def test_a_closed_agency_is_shown_with_its_end_and_gets_no_system(node: "Node") -> None:
    await node.import_table()
    await node.rows("UPDATE registry.agencies SET valid_to = '2024-06-30T17:00Z' WHERE code = 'H43.36.01'")
    entry = await node.ask(READ_AGENCY, ReadAgency(code=COMMUNE))
    assert entry.valid_to == datetime(2024, 6, 30, 17, tzinfo=UTC)
    page = await node.ask(LIST_AGENCIES, ListAgencies(query="phuoc dinh"))
    assert page.items == ()
    earlier = datetime(2024, 6, 30, 16, 59, tzinfo=UTC)
    page = await node.ask(LIST_AGENCIES, ListAgencies(query="phuoc dinh", at=earlier))
    assert [found.code for found in page.items] == [COMMUNE]
    with pytest.raises(Rejected) as refused:
        await node.add_system("xa-1", COMMUNE)
    assert [error.code for error in refused.value.errors] == ["agency-closed"]
