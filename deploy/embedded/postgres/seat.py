import fcntl
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from deploy.embedded.errors import NodeError
from deploy.embedded.postgres.account import Account

# The kernel takes socket paths up to 107 bytes; `/.s.PGSQL.5432` is 14 of ours.
_MAX_SOCKET_FOLDER_BYTES = 85
# PostgreSQL reads its socket setting as a list, so these would need quoting that its own notes do not undo.
_AWKWARD_IN_SOCKET_PATHS = frozenset(",\"'\\ ")
_STATE_SHELF = Path("/var/lib")


@dataclass(frozen=True)
class Seat:
    """
    Where the server's files are.

    Attributes:
        root: Folder of the account that the server runs as.
    """

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def log(self) -> Path:
        return self.root / "server.log"

    @property
    def socket(self) -> Path:
        """
        The folder of the socket, as last prepared.
        """
        try:
            return Path((self.root / "socket-folder").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return self.root / "socket"


def find_seat(folder: Path) -> Seat | None:
    """
    Find the seat that was made for a folder; None when there is none yet.

    Raises:
        NodeError: The folder remembers a seat that is gone, or is a copy of another node's folder.
    """
    try:
        root = Path((folder / "seat").read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = Seat(folder / "server")
        return near if (near.root / "owner").exists() else None
    except NotADirectoryError as error:
        raise NodeError(f"{folder} is not a folder.", remedy="Choose another home for the node.") from error
    try:
        owner = Path((root / "owner").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NodeError(
            f"The database of this node was in {root}, which is gone.",
            remedy=f"Bring it back from a backup, or, to begin with an empty database, remove {folder}.",
        ) from error
    if owner != folder and (owner / "seat").exists():
        raise NodeError(
            f"The database in {root} belongs to {owner}; {folder} looks like a copy of it.",
            remedy=f"To give the copy an empty database of its own, remove {folder}.",
        )
    return Seat(root)


def make_seat(folder: Path, account: Account) -> Seat:
    """
    Find the seat of a folder or make one, and prepare the folder of the socket.

    No mode of a folder that was there before is changed.
    """
    seat = find_seat(folder)
    if seat is None:
        if account.is_own or account.can_enter(folder):
            seat = Seat(folder / "server")
            seat.root.mkdir(mode=0o700, exist_ok=True)
        else:
            seat = Seat(_make_elsewhere(folder))
        account.take(seat.root)
    _write(seat.root / "owner", str(folder))
    if seat.root.parent != folder:
        _write(folder / "seat", str(seat.root))
    _make_socket_folder(seat, account)
    return seat


def remove_seat(folder: Path) -> None:
    """
    Delete the server's files, wherever they are, and the folder itself.
    """
    seat = find_seat(folder)
    if seat is not None:
        shutil.rmtree(seat.socket, ignore_errors=True)
        shutil.rmtree(seat.root, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def lock_folder(folder: Path) -> IO[str]:
    """
    Hold the folder for this process until the file is closed; the kernel lets go when the process dies.
    """
    handle = (folder / "lock").open("w", encoding="utf-8")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        handle.close()
        raise NodeError(
            f"Another process is using the database in {folder}.",
            remedy="A node runs there already? Stop it with Ctrl-C first, or choose another folder with --home.",
        ) from error
    return handle


def _make_elsewhere(folder: Path) -> Path:
    # What lives under the temporary folder may go when that is emptied; anything else must be kept.
    temporary = Path(tempfile.gettempdir()).resolve()
    is_temporary = folder.is_relative_to(temporary)
    shelf = temporary if is_temporary or not os.access(_STATE_SHELF, os.W_OK) else _STATE_SHELF
    return Path(tempfile.mkdtemp(prefix="document-axis-", dir=shelf))


def _make_socket_folder(seat: Seat, account: Account) -> None:
    near = seat.root / "socket"
    if len(os.fsencode(near)) <= _MAX_SOCKET_FOLDER_BYTES and not _AWKWARD_IN_SOCKET_PATHS & set(str(near)):
        if not near.exists():
            near.mkdir(mode=0o700)
            account.take(near)
        (seat.root / "socket-folder").unlink(missing_ok=True)
        return
    if seat.socket != near and _is_private(seat.socket, account):
        return
    shelf = tempfile.gettempdir()
    if len(os.fsencode(shelf)) > _MAX_SOCKET_FOLDER_BYTES - 20:
        shelf = "/tmp"  # noqa: S108 - mkdtemp below makes a private folder in it
    far = Path(tempfile.mkdtemp(prefix="axis-", dir=shelf))
    account.take(far)
    _write(seat.root / "socket-folder", str(far))


def _is_private(folder: Path, account: Account) -> bool:
    # A folder under /tmp may have been removed meanwhile, and made again by somebody else.
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == account.uid and stat.S_IMODE(status.st_mode) == 0o700


def _write(place: Path, text: str) -> None:
    """
    Write a small file so that a crash leaves the old text or the new one.
    """
    if place.exists() and place.read_text(encoding="utf-8") == text:
        return
    fresh = place.with_name(f"{place.name}.new")
    with fresh.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    fresh.rename(place)
