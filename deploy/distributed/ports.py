"""Ports for processes of one machine."""

import random
import socket
from typing import Final

from deploy.embedded.errors import NodeError

_PORTS: Final = range(20_000, 32_000)
"""Below the kernel's range for outgoing connections, so that no client's socket sits on a port between two starts."""


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """
    Tell whether somebody could listen there now.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """
    Find so many ports of loopback that nobody listens on just now.

    Raises:
        NodeError: There are not so many.
    """
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if len(found) == count:
            break
        if is_free(port):
            found.append(port)
    if len(found) < count:
        raise NodeError(
            f"Fewer than {count} ports from {_PORTS.start} to {_PORTS.stop} are free.",
            remedy="Stop programs that hold ports.",
        )
    return found
