"""Where nginx is on this machine, and how it comes there."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from deploy.proxy.errors import ProxyError

_PLACES: Final = ("/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin")
_INSTALLER: Final = Path(__file__).parents[1] / "machine" / "nginx.sh"
_INSTALL_SECONDS: Final = 300.0


def find_nginx() -> Path:
    """
    Find nginx; as root on Debian and Ubuntu it is installed where it is missing.

    Raises:
        ProxyError: There is none.
    """
    found = _search()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        try:
            subprocess.run(["/bin/sh", _INSTALLER], check=True, timeout=_INSTALL_SECONDS, capture_output=True)  # noqa: S603
        except (subprocess.SubprocessError, OSError) as error:
            raise _missing("could not be installed") from error
        found = _search()
    if found is None:
        raise _missing("is not on this machine")
    return found


def _search() -> Path | None:
    # /usr/sbin is not on the path of ordinary users of Debian.
    path = os.pathsep.join((os.environ.get("PATH", ""), *_PLACES))
    found = shutil.which("nginx", path=path)
    return Path(found) if found else None


def _missing(what: str) -> ProxyError:
    return ProxyError(f"nginx {what}.", remedy="Debian, Ubuntu: sudo apt-get install nginx-light")
