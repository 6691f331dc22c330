"""The version log: complete whoever writes meanwhile, signed, and told by the beat."""

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest
import rfc8785

from shared.contracts.base import Nothing
from shared.contracts.registry import (
    SET_SYSTEM_STATUS,
    AgencyEntry,
    RegistryBeat,
    SetSystemStatus,
    SystemEntry,
    SystemStatus,
)
from shared.contracts.signing import READ_KEYS
from shared.jose import SNAPSHOT, from_jwks, verify_compact

if TYPE_CHECKING:
    from conftest import Node

pytestmark = pytest.mark.filterwarnings("ignore::services.signing.errors.DevelopmentModeWarning")

HEADING = "code,code102,name,level,kind,parent,gso_code,lat,lon,valid_from,valid_to"


def a_table(count: int, name: str = "Bộ") -> str:
    lines = [f"G{n // 100:02}.{n % 100:02},,{name} {n},central,ministry,,,,,2018-01-01," for n in range(count)]
    return "\n".join((HEADING, *lines, ""))


async def test_a_page_is_signed(node: "Node") -> None:
    await node.import_table()
    page = await node.changes(limit=2)
    keys = await node.ask(READ_KEYS, Nothing())
    claims = verify_compact(page.statement, typ=SNAPSHOT, keys=from_jwks(keys.evidence_keys))
    items = {
        "agencies": [entry.model_dump(mode="json") for entry in page.agencies],
        "systems": [entry.model_dump(mode="json") for entry in page.systems],
    }
    assert claims["items_sha256"] == hashlib.sha256(rfc8785.dumps(items)).hexdigest()
    assert (claims["after"], claims["version"], claims["latest"]) == (0, 2, 6)
    assert claims["time"] == "2024-12-31T03:00:00.000000Z"


async def test_pages_of_any_size_hold_everything(node: "Node") -> None:
    await node.import_table(a_table(12))
    await node.add_system("xa-1")
    for limit in (1, 2, 3, 7, 500):
        agencies, systems, version = await node.read_all(limit)
        assert (len(agencies), set(systems), version) == (12, {"administrator", "xa-1"}, 14)


async def test_a_reader_at_the_newest_version_gets_an_empty_page(node: "Node") -> None:
    await node.import_table()
    page = await node.changes(after=6)
    assert (page.agencies, page.systems, page.version, page.latest) == ((), (), 6, 6)
    ahead = await node.changes(after=99)
    assert (ahead.version, ahead.latest) == (99, 6)


async def test_nothing_is_missed_while_others_write(node: "Node") -> None:
    await node.import_table(a_table(300))
    await node.add_system("xa-1")
    token = await node.token()
    written = asyncio.Event()

    async def follow() -> tuple[dict[str, AgencyEntry], dict[str, SystemEntry]]:
        agencies: dict[str, AgencyEntry] = {}
        systems: dict[str, SystemEntry] = {}
        version, latest = 0, 0
        while version < latest or not written.is_set():
            # Asked before the page, so that the last page is one that saw everything.
            done = written.is_set()
            page = await node.changes(version, limit=40)
            assert page.version >= version
            assert page.version > version or not (page.agencies or page.systems)
            agencies |= {entry.code: entry for entry in page.agencies}
            systems |= {entry.id: entry for entry in page.systems}
            version, latest = page.version, page.latest
            if not done:
                latest = version + 1
        return agencies, systems

    async def flip() -> None:
        for number in range(20):
            status = SystemStatus.DISABLED if number % 2 else SystemStatus.ACTIVE
            await node.ask(SET_SYSTEM_STATUS, SetSystemStatus(token=token, system_id="xa-1", status=status))

    readers = [asyncio.ensure_future(follow()) for _ in range(2)]
    await asyncio.gather(
        flip(),
        *(node.add_system(f"s-{number}") for number in range(10)),
        node.import_table(a_table(300, "Ban")),
        node.import_table(a_table(400, "Cục")),
    )
    written.set()
    # What every reader has gathered page by page is what stands in the register.
    agencies, systems, _ = await node.read_all()
    for reader in readers:
        assert await reader == (agencies, systems)
    assert systems["xa-1"].status == "disabled"
    assert len(agencies) == 400
    versions = await node.rows("SELECT version FROM registry.agencies UNION ALL SELECT version FROM registry.systems")
    assert len({row["version"] for row in versions}) == len(versions), "every row has a version of its own"


async def test_a_change_is_told_at_once_and_the_beat_goes_on(node: "Node") -> None:
    heard: asyncio.Queue[RegistryBeat] = asyncio.Queue()
    node.outside.on_hint(RegistryBeat, heard.put_nowait)
    first = await asyncio.wait_for(heard.get(), 10)
    report = await node.import_table()
    assert report.version == first.version + 5
    told = first
    while told.version < report.version:
        told = await asyncio.wait_for(heard.get(), 10)
    assert told.version == report.version
    assert (await asyncio.wait_for(heard.get(), 10)).version == report.version
