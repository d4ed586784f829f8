"""What a platform's launches say, once their signature was checked, and what is said back. No I/O.

Claims are named by the 1EdTech documents: LTI Core 1.3, and Proctoring Services 1.0. What is not
needed is not kept: no e-mail address, no picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

import msgspec

from streamer.lti.errors import Refused
from streamer.lti.platform import Platform

CORE, PROCTORING = (
    "https://purl.imsglobal.org/spec/lti/claim/",
    "https://purl.imsglobal.org/spec/lti-ap/claim/",
)
VERSION = "1.3.0"
TEACHERS = (
    "http://purl.imsglobal.org/vocab/lis/v2/membership#Instructor",
    "http://purl.imsglobal.org/vocab/lis/v2/membership#Administrator",
)
MOST = 4096  # characters of any value that is taken over
SPEAKING = "expect_speech"  # a custom parameter of a link: "true" or "false"
Kind = Literal["LtiStartProctoring", "LtiEndAssessment", "LtiResourceLinkRequest"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Login(NamedTuple):
    """Where a browser is sent to be known, and what has to come back with it."""

    url: str
    state: str
    nonce: str
    platform: Platform


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a launch comes from: a link (`resource_link`) in a course (`context`), which may be
    empty, of a deployment of the tool on a platform.
    """

    issuer: str
    client: str
    deployment: str
    context: str
    link: str


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """The platform's assessment control service, and what may be asked of it for an attempt."""

    url: str
    actions: tuple[str, ...]


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """A launch. ``user`` is what the platform knows somebody by (`sub`), ``title`` the link's.

    ``session`` and ``start_url`` are what an assessment is started with. ``error`` is what the
    platform says of an assessment that ended badly.
    """

    kind: Kind
    place: Place
    user: str
    name: str
    title: str
    teacher: bool
    speaking: bool
    attempt: int | str | None = None
    session: str = ""
    start_url: str = ""
    return_url: str = ""
    control: Control | None = None
    error: str = ""


def launch_of(claims: Mapping[str, Any], platform: Platform) -> Launch:
    """What a launch says. Raises :class:`Refused`, by the first claim that is wrong."""
    kind = claims.get(CORE + "message_type")
    if kind not in KINDS:
        raise Refused("the launch is of a kind that is not answered here")
    if claims.get(CORE + "version") != VERSION:
        raise Refused(f"the launch is not of LTI {VERSION}")
    proctored = kind != "LtiResourceLinkRequest"
    roles = claims.get(CORE + "roles")
    return Launch(
        kind=kind,
        place=Place(
            issuer=platform.issuer,
            client=platform.client_id,
            deployment=_text(claims, CORE + "deployment_id"),
            context=_part(claims, "context", "id"),
            link=_text(_object(claims, CORE + "resource_link"), "id"),
        ),
        user=_text(claims, "sub"),
        name=_name(claims),
        title=_part(claims, "resource_link", "title") or _part(claims, "context", "title"),
        teacher=isinstance(roles, list) and any(role in TEACHERS for role in roles),
        speaking=str(_object(claims, CORE + "custom").get(SPEAKING)).lower() == "true",
        attempt=_number(claims) if proctored else None,
        session=_text(claims, PROCTORING + "session_data") if kind == KINDS[0] else "",
        start_url=_address(claims, platform) if kind == KINDS[0] else "",
        return_url=_return(claims, platform),
        control=_control(claims, platform) if kind == KINDS[0] else None,
        error=_optional(claims, PROCTORING + "errormsg"),
    )


def start_assessment(launch: Launch, verified: bool) -> dict[str, Any]:
    """What the platform is told so that a learner's assessment begins (`LtiStartAssessment`).

    ``verified`` says that the learner was found to be who is enrolled under the name that the
    platform gave. The platform is asked to tell the end of the assessment.
    """
    told: dict[str, Any] = {
        CORE + "message_type": "LtiStartAssessment",
        CORE + "version": VERSION,
        CORE + "deployment_id": launch.place.deployment,
        CORE + "resource_link": {"id": launch.place.link},
        PROCTORING + "session_data": launch.session,
        PROCTORING + "attempt_number": launch.attempt,
        PROCTORING + "end_assessment_return": True,
    }
    if verified and launch.name:
        told[PROCTORING + "verified_user"] = {"name": launch.name}
    return told


def _text(claims: Mapping[str, Any], name: str) -> str:
    found = _optional(claims, name)
    if not found:
        raise Refused(f"the launch lacks {name.removeprefix(CORE).removeprefix(PROCTORING)}")
    return found


def _optional(claims: Mapping[str, Any], name: str) -> str:
    found = claims.get(name)
    if found is not None and (not isinstance(found, str) or len(found) > MOST):
        raise Refused(f"the launch has a {name.rpartition('/')[2]} that is no text, or too long")
    return found or ""


def _object(claims: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = claims.get(name)
    return found if isinstance(found, dict) else {}


def _part(claims: Mapping[str, Any], name: str, part: str) -> str:
    return _optional(_object(claims, CORE + name), part)


def _name(claims: Mapping[str, Any]) -> str:
    given = (_optional(claims, "given_name"), _optional(claims, "family_name"))
    return _optional(claims, "name") or " ".join(filter(None, given))


def _number(claims: Mapping[str, Any]) -> int | str:
    """As it came: the platform compares what it is told with it."""
    found = claims.get(PROCTORING + "attempt_number")
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) <= 9:
        return found
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < 1 << 31:
        raise Refused("the launch has no attempt_number")
    return found


def _address(claims: Mapping[str, Any], platform: Platform) -> str:
    address = _text(claims, PROCTORING + "start_assessment_url")
    if not platform.owns(address):
        raise Refused("start_assessment_url is on none of the platform's servers (lti.hosts)")
    return address


def _return(claims: Mapping[str, Any], platform: Platform) -> str:
    address = _part(claims, "launch_presentation", "return_url")
    return address if platform.owns(address) else ""


def _control(claims: Mapping[str, Any], platform: Platform) -> Control | None:
    """None where the platform has no such service, or would have it elsewhere."""
    told = _object(claims, PROCTORING + "acs")
    url, actions = _optional(told, "assessment_control_url"), told.get("actions")
    if not url:
        return None
    if not platform.owns(url):
        raise Refused("assessment_control_url is on none of the platform's servers (lti.hosts)")
    known = [one for one in actions if isinstance(one, str)] if isinstance(actions, list) else []
    return Control(url=url, actions=tuple(known[:16]))
