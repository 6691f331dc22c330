"""`python -m deploy.proxy`: the proxy as a process, told by `PROXY_…`."""

import signal
import sys
import threading

from pydantic import ValidationError

from deploy.proxy.errors import ProxyError
from deploy.proxy.settings import Settings
from deploy.proxy.watch import run
from shared.telemetry import configure_logs, get_logger


def main() -> int:
    """
    Run until SIGTERM or SIGINT; 1 when the proxy cannot run.
    """
    configure_logs()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        run(Settings(), stop)
    except ValidationError as error:
        wrong = ", ".join(f"PROXY_{str(entry['loc'][0]).upper()}: {entry['msg']}" for entry in error.errors())
        get_logger(__name__).error("the proxy lacks settings", wrong=wrong)
        return 1
    except ProxyError as error:
        get_logger(__name__).error(error.problem, remedy=error.remedy)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
