"""The platform's assessment control service: it is told what somebody should look at.

Of the actions that it knows `flag` alone is used. Whether an assessment goes on, and whether a rule
was broken, people decide there. It blocks: call it in a thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol

import msgspec
import requests
from pylti1p3.exception import LtiServiceException
from pylti1p3.service_connector import ServiceConnector

from streamer.lti.errors import PlatformError
from streamer.lti.http import Session
from streamer.lti.keys import OwnKey
from streamer.lti.library import registration
from streamer.lti.messages import Launch
from streamer.lti.platform import Platform
from streamer.records.incidents.words import without_figures
from streamer.wire.incidents import IncidentKind

SCOPE = "https://purl.imsglobal.org/spec/lti-ap/scope/control.all"
CONTENT = "application/vnd.ims.lti-ap.v1.control+json"
JSON = "application/json"
WRONG_TYPE = 415  # of whoever knows JSON, and not the type of the service: Open edX's exams
FLAG = "flag"
# From 0 to 1, as the service wants it: how much each kind needs a person, and no probability. Those
# kinds are here that are in `OTHERS` of the incidents' ledger: the rest is no reason for a flag.
SEVERITY: Mapping[IncidentKind, str] = {
    "takeover": "0.9",
    "mismatch": "0.8",
    "tampering": "0.7",
    "other-voice": "0.5",
    "overlap": "0.3",
}
FINAL = (404, 405, 410, 422)  # what does not pass


class Incident(Protocol):
    """What is needed of an incident. Times in seconds since 1970."""

    @property
    def kind(self) -> IncidentKind:
        """What it is, one of those in :data:`SEVERITY`."""

    @property
    def reason(self) -> str:
        """In a sentence."""

    @property
    def since_at(self) -> float:
        """When it began."""


def takes_flags(launch: Launch) -> bool:
    """Whether the platform wants to be told of incidents."""
    return launch.control is not None and FLAG in launch.control.actions


def message(launch: Launch, incident: Incident) -> bytes:
    """What the service is sent of an incident."""
    began = datetime.fromtimestamp(incident.since_at, UTC)
    told = {
        "user": {"iss": launch.place.issuer, "sub": launch.user},
        "resource_link": {"id": launch.place.link},
        "attempt_number": launch.attempt,
        "action": FLAG,
        "incident_time": began.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "incident_severity": SEVERITY[incident.kind],
        "reason_code": incident.kind,
        "reason_msg": without_figures(incident.reason),
    }
    return msgspec.json.encode(told)


class ControlService:
    """Those of all platforms, which are called with a token of each."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def flag(self, platform: Platform, key: OwnKey, launch: Launch, incident: Incident) -> None:
        """Tell of an incident. Raises :class:`PlatformError`."""
        assert launch.control is not None
        known = registration(platform)
        known.set_tool_private_key(key.private).set_tool_public_key(key.public)
        connector = ServiceConnector(known, self._session)
        told = message(launch, incident).decode()
        try:
            try:
                self._send(connector, launch.control.url, told, CONTENT)
            except LtiServiceException as error:
                if error.response.status_code != WRONG_TYPE:
                    raise
                self._send(connector, launch.control.url, told, JSON)
        except LtiServiceException as error:
            status = error.response.status_code
            final = status in FINAL and error.response.url == launch.control.url
            raise PlatformError(f"the platform answered {status} to a flag", final=final) from error
        except (requests.RequestException, KeyError, TypeError, ValueError) as error:
            raise PlatformError(f"the platform takes no flag ({type(error).__name__})") from error

    def _send(self, connector: ServiceConnector, url: str, told: str, kind: str) -> None:
        connector.make_service_request(
            [SCOPE], url, is_post=True, data=told, content_type=kind, accept=f"{CONTENT}, {JSON}"
        )
