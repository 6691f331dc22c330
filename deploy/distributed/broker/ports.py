import secrets
import socket
from dataclasses import dataclass
from typing import Final

from deploy.embedded.errors import NodeError

_RANGE: Final = range(20_000, 32_000)
"""Below the kernel's range for outgoing connections, so that no client's socket sits on a port between two starts."""


@dataclass(frozen=True)
class Ports:
    """
    What one broker listens on; all on loopback.
    """

    amqp: int
    distribution: int
    names: int


def free_port() -> int:
    """
    Find a port that nobody listens on.
    """
    for _ in range(200):
        port = secrets.choice(_RANGE)
        if is_free(port):
            return port
    raise NodeError(
        "Không còn cổng trống từ 20000 đến 32000. No port from 20000 to 32000 is free.",
        remedy="Dừng các chương trình đang giữ cổng. Stop programs that hold ports.",
    )


def is_free(port: int) -> bool:
    """
    Tell whether we could listen there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_open(port: int) -> bool:
    """
    Tell whether somebody listens there.
    """
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
