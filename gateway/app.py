from dataclasses import dataclass

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema
from starlette.types import ASGIApp

from gateway.api.admin import add_operating, add_registry
from gateway.api.agencies import add_agencies
from gateway.api.checks import add_checks
from gateway.api.context import Context, Room
from gateway.api.documents import add_documents
from gateway.api.files import add_files
from gateway.api.inbox import add_inbox
from gateway.api.node import VERSION, add_node
from gateway.api.registrations import add_registrations
from gateway.api.route import axis_route
from gateway.api.token import TokenError, add_token
from gateway.api.trust import add_trust
from gateway.api.webhooks import add_webhooks
from gateway.doorway import Answers, Guard, Observer
from gateway.limits import Pace, Uploads
from gateway.mailboxes import Mailboxes
from gateway.pages import add_finding_pages, add_problem_pages, add_reference_page
from gateway.proxied import BehindProxy, read_networks
from gateway.refusals import Refusals
from gateway.settings import Settings
from gateway.vxp import Dialects
from shared.blobs import BlobStore
from shared.clock import Clock
from shared.http import CorrelationMiddleware, ProblemDetails, TraceMiddleware
from shared.identifiers import IdSource
from shared.messaging import Bus
from shared.telemetry.figures import Figures
from shared.telemetry.traces import tracing
from shared.tokens import TokenVerifier

_PUBLIC = "Văn bản giữa các cơ quan: gửi, nhận, xác nhận, theo dõi. · Documents between agencies."
_ADMIN = "Vận hành và quản trị nút. · Operating this node."


@dataclass(frozen=True)
class Gateway:
    """
    The door with its two listeners.

    Attributes:
        public: For agencies' systems and integrators.
        admin: For operators and the command line; to be bound to loopback.
    """

    public: ASGIApp
    admin: ASGIApp
    mailboxes: Mailboxes

    async def stop(self) -> None:
        """
        Have every long poll answer now; to be called before the listeners wait for their open requests.
        """
        self.mailboxes.close()


def create_app(
    settings: Settings,
    *,
    bus: Bus,
    blobs: BlobStore,
    clock: Clock,
    new_id: IdSource,
    figures: Figures | None = None,
) -> Gateway:
    """
    Build the gateway.

    Args:
        settings: Limits, and what the node is called.
        bus: The gateway's end of it.
        blobs: Where packets are streamed to and from.
        clock: To judge the life of access tokens.
        new_id: Makes the correlation ids of requests that bring none.
        figures: Those of this process, shown to operators; None: the gateway's own only.
    """
    figures = figures or Figures()
    refusals = Refusals(settings.public_url)
    mailboxes = Mailboxes(bus, max_waiting=settings.max_waiting)
    context = Context(
        settings=settings,
        bus=bus,
        blobs=blobs,
        verifier=TokenVerifier(bus, issuer=settings.public_url, clock=clock),
        mailboxes=mailboxes,
        uploads=Uploads(
            ordinary=settings.max_uploads,
            urgent=settings.max_urgent_uploads,
            ordinary_share=settings.max_uploads_per_system,
            urgent_share=settings.max_urgent_uploads_per_system,
        ),
        pace=Pace(settings.min_upload_bytes_per_second, settings.upload_grace_seconds, settings.upload_window_seconds),
        room=Room(blobs, settings.min_free_bytes),
        refusals=refusals,
    )
    figures.min_free_bytes.set(settings.min_free_bytes)
    figures.uploads.set_function(lambda: context.uploads.taken)
    figures.polls.set_function(lambda: mailboxes.waiting)

    public = _application(settings, refusals, title="Trục liên thông văn bản", description=_PUBLIC)
    add_token(public, context)
    add_documents(public, context)
    add_checks(public, context)
    add_inbox(public, context)
    add_files(public, context)
    add_webhooks(public, context)
    add_agencies(public, context)
    add_registrations(public, context)
    add_trust(public, context)
    add_node(public, context, figures, with_details=False)
    add_problem_pages(public, context)
    add_finding_pages(public)
    add_reference_page(public)

    admin = _application(settings, refusals, title="Trục liên thông văn bản: vận hành", description=_ADMIN)
    add_token(admin, context)
    add_operating(admin, context)
    add_registry(admin, context)
    add_node(admin, context, figures, with_details=True)
    add_problem_pages(admin, context)
    add_reference_page(admin)

    def doorway(app: ASGIApp, listener: str, answers: Answers) -> ASGIApp:
        guarded = Guard(app, settings=settings, refusals=answers)
        observed = Observer(guarded, registry=figures.registry, listener=listener, refusals=answers)
        correlated = CorrelationMiddleware(TraceMiddleware(observed) if tracing() else observed, lambda: new_id().hex)
        return BehindProxy(correlated, proxies=read_networks(settings.trusted_proxies))

    dialects = Dialects(public, context=context, refusals=refusals)
    return Gateway(doorway(dialects, "public", dialects), doorway(admin, "admin", refusals), mailboxes)


def _application(settings: Settings, refusals: Refusals, *, title: str, description: str) -> FastAPI:
    app = _Application(
        title=title,
        description=description,
        version=VERSION,
        docs_url=None,  # the framework's own pages load from a CDN
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    app.router.route_class = axis_route(settings)
    refusals.install(app)
    return app


class _Application(FastAPI):
    """A FastAPI whose description also holds the shapes of refusals."""

    def openapi(self) -> dict[str, object]:
        if self.openapi_schema is None:
            described = super().openapi()
            _, shapes = models_json_schema(
                [(ProblemDetails, "serialization"), (TokenError, "serialization")],
                ref_template="#/components/schemas/{model}",
            )
            described["components"]["schemas"] |= shapes["$defs"]
        assert self.openapi_schema is not None
        return self.openapi_schema
