"""All that is answered over plain HTTP. A room that adds routes is named here."""

from __future__ import annotations

from streamer.server.context import Context
from streamer.server.entrance import Entrance
from streamer.server.http.clips import Clips
from streamer.server.http.openedx import EdxRoutes
from streamer.server.http.pages import Pages
from streamer.server.http.probes import Probes
from streamer.server.http.reports import Reports
from streamer.server.http.routes import Routes
from streamer.server.http.verification import Verification
from streamer.server.metrics import Metrics
from streamer.server.openedx import EdxService


def all_routes(
    context: Context,
    entrance: Entrance,
    pages: Pages,
    metrics: Metrics,
    edx: EdxService | None,
) -> Routes:
    """The table of one server."""
    reports = Reports(context)
    return Routes(
        [
            *pages.routes(),
            *Probes(context, entrance, metrics).routes(),
            *Verification(context).routes(),
            *reports.routes(),
            *Clips(context).routes(),
            *(EdxRoutes(context, entrance, edx, reports).routes() if edx is not None else ()),
        ]
    )
