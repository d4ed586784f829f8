"""All that is answered over plain HTTP. A room that adds routes is named here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from streamer.server.context import Context
from streamer.server.entrance import Entrance
from streamer.server.http.clips import Clips
from streamer.server.http.openedx import EdxRoutes
from streamer.server.http.pages import Pages
from streamer.server.http.probes import Probes
from streamer.server.http.reports import Reports
from streamer.server.http.routes import Route, Routes
from streamer.server.http.verification import Verification
from streamer.server.metrics import Metrics
from streamer.server.openedx import EdxService

if TYPE_CHECKING:
    from streamer.server.lti import LtiService


def all_routes(
    context: Context,
    entrance: Entrance,
    pages: Pages,
    metrics: Metrics,
    edx: EdxService | None,
    lti: LtiService | None,
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
            *(_lti_routes(context, entrance, lti, reports) if lti is not None else ()),
        ]
    )


def _lti_routes(
    context: Context, entrance: Entrance, lti: LtiService, reports: Reports
) -> Iterator[Route]:
    from streamer.server.http.lti import LtiRoutes  # with its library, which not everybody has

    return LtiRoutes(context, entrance, lti, reports).routes()
