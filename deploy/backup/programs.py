"""PostgreSQL's own programs for saving and restoring: the wheel's, or those the machine has."""

import asyncio
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import URL

from deploy.embedded.errors import NodeError
from deploy.embedded.postgres.account import server_account
from deploy.embedded.postgres.binaries import find_binaries

_DEBIAN: Final = Path("/usr/lib/postgresql")
_RELEASE: Final = re.compile(r"\) (\d+)")
_TIMEOUTS_SINCE: Final = 17
"""From this release on, `pg_restore` begins with a setting that older servers refuse."""


@dataclass(frozen=True)
class Programs:
    """
    One release of them.

    Attributes:
        major: Major version.
    """

    folder: Path
    major: int

    async def run(self, name: str, *arguments: str, database: URL) -> None:
        """
        Run one of them to its end. What it needs to connect goes into its environment, where no other account sees it.

        Raises:
            NodeError: It failed, with its own last words.
        """
        process = await asyncio.create_subprocess_exec(
            self.folder / name,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", **_environment(database)},
        )
        try:
            _, said = await process.communicate()
        except BaseException:
            process.kill()
            await process.wait()
            raise
        if process.returncode:
            words = said.decode("utf-8", "replace").strip().splitlines() or ["it gave no reason"]
            raise NodeError(
                f"{name} không làm được / {name} failed: {words[0]}",
                remedy="Xem lý do trên; thường là hết chỗ trống hoặc thiếu quyền. / "
                "See the reason above; often there is no room, or a right is missing.",
            )


def programs_for_saving(server: int) -> Programs:
    """
    Choose programs that can read a server: of its own release, else of the next one after it.

    Raises:
        NodeError: There are none.
    """
    return _choose(server, [one for one in _found() if one.major >= server])


def programs_for_restoring(server: int, written_by: int) -> Programs:
    """
    Choose programs that can read dumps and write them to a server.

    Raises:
        NodeError: There are none.
    """
    able = [one for one in _found() if one.major >= written_by]
    return _choose(server, [one for one in able if one.major == server or server >= _TIMEOUTS_SINCE])


def _choose(server: int, able: list[Programs]) -> Programs:
    if not able:
        raise NodeError(
            f"Không có pg_dump và pg_restore hợp với PostgreSQL {server}. / "
            f"No pg_dump and pg_restore here suit PostgreSQL {server}.",
            remedy=f"Cài chúng / install them: apt-get install postgresql-client-{server}",
        )
    return min(able, key=lambda one: (one.major != server, one.major))


def _found() -> list[Programs]:
    folders = [find_binaries(None, server_account()).folder]
    folders += sorted(_DEBIAN.glob("*/bin"))
    found = []
    for folder in folders:
        if os.access(folder / "pg_dump", os.X_OK) and os.access(folder / "pg_restore", os.X_OK):
            said = subprocess.run(  # noqa: S603 - programs of PostgreSQL, found at fixed places
                [folder / "pg_dump", "--version"], capture_output=True, text=True, check=False
            ).stdout
            release = _RELEASE.search(said)
            if release is not None:
                found.append(Programs(folder, int(release[1])))
    return found


def _environment(database: URL) -> Mapping[str, str]:
    query = {name: value if isinstance(value, str) else value[0] for name, value in database.query.items()}
    known = {
        "PGHOST": database.host or query.get("host"),
        "PGPORT": str(database.port or query.get("port") or "") or None,
        "PGUSER": database.username,
        "PGPASSWORD": database.password,
        "PGDATABASE": database.database,
        "PGSSLMODE": query.get("ssl") or query.get("sslmode"),
        "PGCONNECT_TIMEOUT": "10",
    }
    return {name: str(value) for name, value in known.items() if value}
