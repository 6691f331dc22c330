"""
The doctor before a node that runs: its name in the world, and a second one of the same identity.
"""

import asyncio
import contextlib
from pathlib import Path

import pytest

from deploy.backup import embedded_site, restore_embedded, save
from deploy.doctor import Finding, run_doctor
from deploy.embedded.errors import NodeError
from deploy.embedded.home import Home, init_home
from deploy.embedded.postgres import PrivatePostgres
from shared.testing.node_process import NodeProcess


def silent(_vi: str, _en: str) -> None:
    """Nobody watches."""


async def faults(home: Home) -> list[Finding]:
    return [one for one in await asyncio.to_thread(run_doctor, home.root) if not one.ok]


async def test_a_wrong_name_a_silent_node_and_a_second_one_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIT_HEAD_INTERVAL_SECONDS", "0.5")
    home, copy = Home(tmp_path / "home"), Home(tmp_path / "copy")
    init_home(home.root, node_id="H43", port=0, admin_port=0)
    node = NodeProcess(home.root, home.config().public_url)
    try:
        # 1. No folder, then a node that was never started.
        assert [one.check for one in await faults(copy)] == ["settings"]
        assert [one.check for one in await faults(home)] == ["node"]
        # 2. It runs, and nothing is wrong.
        await node.start()
        assert await faults(home) == []
        # 3. The settings call it otherwise than it calls itself, so its tokens would count nowhere.
        config = home.config_file.read_text(encoding="utf-8")
        changed = home.config().model_copy(update={"public_url": "https://truc.example.vn"})
        home.config_file.write_text(changed.model_dump_json(), encoding="utf-8")
        (fault,) = await faults(home)
        assert fault.check == "public-url"
        assert "https://truc.example.vn" in fault.what
        assert "node.json" in fault.remedy
        home.config_file.write_text(config, encoding="utf-8")
        # 4. A copy of it, while the original runs and goes on writing its journal.
        async with embedded_site(home) as site:
            await save(site, tmp_path / "backup.tar", notice=silent)
        await restore_embedded(tmp_path / "backup.tar", copy, secrets=home.keys, force=False, notice=silent)
        async with asyncio.timeout(90):
            while (found := await faults(copy)) == []:
                await asyncio.sleep(0.5)  # until the original has signed a head after the backup
        assert [one.check for one in found] == ["identity"]
        assert "hai nút cùng danh tính" in found[0].what
        # 5. Nobody answers any more.
        await node.stop()
        (fault,) = await faults(home)
        assert fault.check == "node"
        assert "axis run" in fault.remedy
    finally:
        with contextlib.suppress(AssertionError):
            await node.stop()
        for one in (home, copy):
            with contextlib.suppress(NodeError):
                await PrivatePostgres(one.postgres).remove()
