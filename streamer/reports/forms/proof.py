"""What a report rests on: consents and voiceprints, the model and its errors, the chain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from streamer.reports import rates, words
from streamer.reports.claims import Consent, Enrolment
from streamer.reports.exam_report import VERIFY_REPORT
from streamer.reports.forms.markup import Child, Markup, element, isolated, joined, table
from streamer.reports.report import Chain, Model, Report, Session

CHAINED = (
    "Every entry has the sha256 of the one before it, and the head is signed with a key of the"
    " store. Whoever changes, removes or reorders an entry changes the head."
)
COMPARE = (
    "It says line by line what in it was altered, whether the record is whole, and whether these"
    " heads are its own, also after a stream went on, somebody acted on it, or it was deleted."
)
PUT_IN = (
    "FILE is this report as it was given out (PDF, HTML, JSON or ZIP). Saved anew a PDF still has"
    " its signed data, but what it shows is signed no more."
)
CHAIN_COLUMNS = {"Stream": 20, "Entries": 10, "Head": 40, "When checked for this report": 30}
CHECK = "To check it on the server that has the record:"


def about_the_people(report: Report) -> Markup:
    """Consent and enrolment of everybody who was claimed."""
    people = list(_enrolled(report.sessions))
    rows = ([isolated(one.name), _enrolment(one), _consent(one.consent)] for one in people)
    columns = {"Voiceprint of": 20, "Enrolled": 30, "Consent": 50}
    own, clips = report.consent, report.clips_consent
    return joined(
        [
            element("h2", "Consent and enrolment"),
            element("p", "The candidate's consent: ", _consent(own), ".") if own else None,
            element("p", "To clips of sound: ", _consent(clips), ".") if clips else None,
            table(columns, rows) if people else element("p", "Nobody's voiceprint was claimed."),
            element("p", "The voiceprint itself is in no report and in no record.", class_="soft"),
        ]
    )


def _enrolled(sessions: Iterable[Session]) -> Iterator[Enrolment]:
    """Each voiceprint once; one that was enrolled anew meanwhile is another."""
    told = set()
    for enrolment in (e for s in sessions for claim in s.claims for e in claim.enrolments):
        key = (enrolment.name, enrolment.enrolled_at)
        if key not in told:
            told.add(key)
            yield enrolment


def _enrolment(one: Enrolment) -> str:
    if one.enrolled_at is None:
        return "not known"
    speech = "" if one.speech_s is None else f", {words.duration(one.speech_s)} of speech"
    ends = "" if one.expires_at is None else f"; is deleted on {words.day(one.expires_at)}"
    return f"{words.moment(one.enrolled_at)}{speech}{ends}"


def _consent(consent: Consent | None) -> Child:
    if consent is None:
        return "not known"
    said = [f"given {words.moment(consent.given_at)}", f"text {consent.text_version}"]
    said += [f"language {consent.language}"] if consent.language else []
    said += [f"purpose: {consent.purpose}"] if consent.purpose else []
    said += [f"kept {consent.term}"] if consent.term else []
    said += [f"signed by {consent.signed_by}"] if consent.signed_by else []
    withdrawn = consent.withdrawn_at
    end = element("strong", f"; withdrawn {words.moment(withdrawn)}") if withdrawn else None
    text = consent.text_sha256
    return [
        ", ".join(said),
        end,
        [", sha256 of the text ", element("span", text, class_="mono")] if text else None,
    ]


def about_the_model(report: Report) -> Markup:
    """The models of the sessions, and what their error rates mean."""
    told: dict[str, tuple[Model, Session, float]] = {}
    for session in report.sessions:
        if (model := session.model) is not None:
            *_, speech_s = told.get(model.sha256, (0.0,))
            told[model.sha256] = model, session, speech_s + session.speech_s
    parts = [_model(*one) for one in told.values()]
    return joined(
        [element("h2", "How far it can be trusted"), parts or element("p", rates.NOT_JUDGED)]
    )


def _model(model: Model, session: Session, speech_s: float) -> Markup:
    """``session`` is the last of those that it judged, ``speech_s`` of all of them."""
    claim = session.claims[-1] if session.claims else None
    return joined(
        [
            element("p", rates.evidence(claim.bounds if claim else None)),
            meant(rates.sentences(session, speech_s)),
            _expected(session),
            element("p", named(model), class_="soft"),
        ]
    )


def meant(sentences: Iterable[str]) -> Markup:
    """What error rates mean."""
    return element("ul", [element("li", sentence) for sentence in sentences], class_="lines")


def named(model: Model) -> Child:
    """Which model it was."""
    return [
        f"Model {model.name} {model.version}, sha256 ",
        element("span", model.sha256, class_="mono"),
    ]


def _expected(session: Session) -> Markup:
    """What one look at so much speech comes to, for the voiceprint that was claimed last."""
    claim = session.claims[-1] if session.claims else None
    if claim is None or claim.bounds is None or not claim.expected_rates:
        return Markup()
    asked = claim.bounds.false_accept
    stated = min({row[1] for row in claim.expected_rates}, key=lambda rate: abs(rate - asked))
    rows = [
        (words.duration(speech_s), words.percent(accepted), words.percent(missed))
        for speech_s, rate, accepted, missed in claim.expected_rates
        if rate == stated
    ]
    after = f"After so much clean speech, at {words.percent(stated)} stated false matches"
    columns = {after: 50, "strangers matched": 25, "right speakers not matched": 25}
    return element("div", table(columns, rows), class_="expected")


def about_the_record(report: Report) -> Markup:
    """Heads of the chains, what a check found, and how anybody else can check."""
    rows = (chain_row(session.stream, session.chain) for session in report.sessions)
    verify = [VERIFY_REPORT, *map(_verifying, report.sessions)] if report.sessions else []
    return joined(
        [
            element("h2", "The record"),
            element("p", CHAINED),
            table(CHAIN_COLUMNS, rows)
            if report.sessions
            else element("p", "There is no stream in the record."),
            [element("p", element("strong", "Not whole: ", one)) for one in report.record_problems],
            element("p", CHECK) if verify else None,
            element("pre", "\n".join(verify), class_="mono") if verify else None,
            element("p", f"{PUT_IN} {COMPARE}", class_="soft") if verify else None,
        ]
    )


def _verifying(session: Session) -> str:
    head = f" --head {session.chain.count}:{session.chain.head}" if session.chain else ""
    return f"voxwatch records verify {session.stream}{head}"


def chain_row(stream: str, chain: Chain | None) -> Iterable[Child]:
    """A stream, its entries, its head, and what a check found."""
    yield element("span", stream, class_="mono")
    if chain is None:
        yield from (words.DASH, "not known", "not checked")
        return
    yield str(chain.count)
    yield element("span", chain.head, class_="mono")
    if chain.problems:
        yield element("strong", "Not whole: ", "; ".join(chain.problems))
    else:
        yield "whole, signed" if chain.signature else "whole, not signed"
