import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Account:
    """
    The account the server runs as.

    Attributes:
        name: For messages.
        uid: User number.
        gid: Number of its first group, the only one the server gets.
        is_own: It is the account of this process, so nothing has to be handed over.
    """

    name: str
    uid: int
    gid: int
    is_own: bool

    def can_enter(self, folder: Path) -> bool:
        """
        Tell whether every folder on the way to this one, and the folder itself, lets the account pass.
        """
        return all(self._may(place, 0o1) for place in (folder, *folder.parents))

    def can_run(self, program: Path) -> bool:
        """
        Tell whether the account can reach, read and execute a program.
        """
        return self.can_enter(program.parent) and self._may(program, 0o5)

    def take(self, place: Path) -> None:
        """
        Hand over a file or folder that this process has just made.
        """
        if not self.is_own:
            os.chown(place, self.uid, self.gid)

    def _may(self, place: Path, bits: int) -> bool:
        if self.uid == 0:
            return True
        status = place.stat()
        if status.st_uid == self.uid:
            bits <<= 6
        elif status.st_gid == self.gid:
            bits <<= 3
        return stat.S_IMODE(status.st_mode) & bits == bits


def server_account() -> Account:
    """
    Choose the account: our own, or an unprivileged one when we are root (PostgreSQL refuses to run as root).
    """
    uid = os.geteuid()
    if uid != 0:
        return Account(name=_name_of(uid), uid=uid, gid=os.getegid(), is_own=True)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid, is_own=False)
    # A machine without either still knows the overflow number that the kernel gives to nobody.
    return Account(name="nobody", uid=65534, gid=65534, is_own=False)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a container may run us under a number without a name
        return str(uid)
