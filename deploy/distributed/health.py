"""What a service's process tells those who run it: whether it lives, whether it can work, and its figures."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


@dataclass
class Readiness:
    """
    What a process needs, and what is missing just now.

    Attributes:
        missing: Part to sentence; empty when everything is there.
        stopping: It was told to stop and takes no new work.
    """

    missing: dict[str, str] = field(default_factory=dict)
    stopping: bool = False

    def tell(self, part: str, sentence: str) -> None:
        """
        Note what is missing of a part; an empty sentence means that all is well.
        """
        if sentence:
            self.missing[part] = sentence
        else:
            self.missing.pop(part, None)

    @property
    def ready(self) -> bool:
        """
        It takes work.
        """
        return not self.missing and not self.stopping

    def as_dict(self) -> Mapping[str, object]:
        """
        As `/health/ready` shows it.
        """
        return {"ready": self.ready, "stopping": self.stopping, "missing": self.missing}


def health_app(readiness: Readiness, figures: Callable[[], bytes], figures_type: str) -> Starlette:
    """
    Build the listener of a service.

    Args:
        readiness: Kept up to date by the process.
        figures: Writes what Prometheus reads.
        figures_type: Media type of the same.
    """

    async def tell_alive(_: Request) -> Response:
        return _json({"alive": True}, 200)

    async def tell_ready(_: Request) -> Response:
        return _json(readiness.as_dict(), 200 if readiness.ready else 503)

    async def show_figures(_: Request) -> Response:
        return Response(figures(), media_type=figures_type)

    return Starlette(
        routes=[
            Route("/health/live", tell_alive),
            Route("/health/ready", tell_ready),
            Route("/metrics", show_figures),
        ]
    )


def _json(body: Mapping[str, object], status: int) -> Response:
    headers = {} if status == 200 else {"Retry-After": "1"}
    return Response(json.dumps(body, ensure_ascii=False), status, headers, media_type="application/json")
