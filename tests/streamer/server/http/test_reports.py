"""Reports over plain HTTP: who may have them, in which forms, and that it is noted."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from enrolled_people import enrol
from recorded_stream import NOON, seated, taken_over
from server_requests import ask, bearer, get, token

from streamer.config import Config
from streamer.exams.exam import Entry, Rules
from streamer.records.entries import Acted
from streamer.server.http import reports
from streamer.server.server import Server


@pytest.fixture
async def guarded(settings: Callable[..., Config]) -> AsyncIterator[Server]:
    """A server that wants tokens, with the record of one stream."""
    tokens = (
        token("desk", "monitor"),
        token("client", "stream"),
        token("strange", "monitor", scores=False),
    )
    async with Server(settings(tokens=tokens), drain_s=1.0) as server:
        await asyncio.to_thread(record, server)
        yield server


def record(server: Server) -> None:
    """A stream of Anna, who is enrolled: the record forgets whoever is not."""
    store, book = server.context.store, server.context.book
    assert book is not None
    anna = enrol(store, "Anna", now=store.now())
    book.journal.write({"s-1": seated(taken_over(), anna.reference)})


async def fetch(server: Server, path: str, who: str = "desk") -> Any:
    """The response, its body as ``content``."""

    def request() -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("GET", path, headers=bearer(who))
        response: Any = connection.getresponse()
        response.content = response.read()
        connection.close()
        return response

    return await asyncio.to_thread(request)


@pytest.mark.parametrize(
    ("form", "begins", "kind"),
    [
        ("html", b"<!doctype html>", "text/html; charset=utf-8"),
        ("pdf", b"%PDF", "application/pdf"),
        ("json", b"{", "application/json"),
        ("csv", "\ufeffcandidate".encode(), "text/csv; charset=utf-8"),
        ("zip", b"PK", "application/zip"),
    ],
)
async def test_a_viewer_gets_every_form(
    guarded: Server, form: str, begins: bytes, kind: str
) -> None:
    response = await fetch(guarded, f"/v1/records/s-1/report.{form}?zone=Europe/Berlin")
    assert response.status == 200, response.content
    assert response.content.startswith(begins)
    assert response.headers["Content-Type"] == kind
    assert f"voxwatch_Anna_2026-11-28.{form}" in response.headers["Content-Disposition"]
    kept = "inline" if form == "html" else "attachment"
    assert response.headers["Content-Disposition"].startswith(kept)


async def test_the_page_may_run_and_load_nothing(guarded: Server) -> None:
    response = await fetch(guarded, "/v1/records/s-1/report.html")
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


async def test_who_took_a_report_is_noted_and_the_report_says_so(guarded: Server) -> None:
    response = await fetch(guarded, "/v1/records/s-1/report.json")
    told = json.loads(response.content)
    assert told["made_by"].startswith("token desk (")
    assert guarded.context.book is not None
    history = guarded.context.book.history("s-1")
    (exported,) = [e for e in history if isinstance(e, Acted) and e.act == "exported"]
    assert exported.who == told["made_by"]
    assert told["sessions"][0]["chain"]["count"] == len(history)


async def test_asking_by_head_takes_nothing(guarded: Server) -> None:
    response = await ask(guarded, "HEAD", "/v1/records/s-1/report.json", headers=bearer("desk"))
    assert response.status == 200
    assert guarded.context.book is not None
    acts = [e for e in guarded.context.book.history("s-1") if isinstance(e, Acted)]
    assert "exported" not in {act.act for act in acts}


@pytest.mark.parametrize(
    ("path", "who", "status", "code"),
    [
        ("/v1/records/s-1/report.json", "client", 401, "unauthorised"),
        ("/v1/records/s-1/report.json", "nobody", 401, "unauthorised"),
        ("/v1/records/s-9/report.json", "desk", 404, "unknown-stream"),
        ("/v1/records/s-1/report.docx", "desk", 404, "not-found"),
        ("/v1/exams/nothing/report.json", "desk", 404, "unknown-exam"),
        ("/v1/records/s-1/report.json?zone=Mars", "desk", 400, "bad-parameter"),
    ],
)
async def test_what_cannot_be_had_is_refused(
    guarded: Server, path: str, who: str, status: int, code: str
) -> None:
    response = await fetch(guarded, path, who)
    assert (response.status, json.loads(response.content)["error"]["code"]) == (status, code)


async def test_a_url_token_opens_a_report_once(guarded: Server, dial: Any) -> None:
    async with dial(guarded, "/v1/control", headers=bearer("desk")) as desk:
        made = await desk.ask(type="url_token", role="monitor")
    path = f"/v1/records/s-1/report.csv?token={made['token']}"
    assert (await get(guarded, path)).status == 200
    assert (await get(guarded, path)).status == 401


async def test_a_token_without_scores_gets_a_report_without_them(guarded: Server) -> None:
    plain = json.loads((await fetch(guarded, "/v1/records/s-1/report.json", "strange")).content)
    (session,) = plain["sessions"]
    assert session["evidence"] == []
    assert {one["evidence"] for one in session["segments"]} == {None}
    assert {one["llr"] for one in session["turns"]} == {None}
    assert not any(one["reason"] for one in session["segments"])
    reasons = [one["reason"] for one in session["incidents"]]
    assert any("in place of the expected one" in reason for reason in reasons)
    assert not any("evidence" in reason for reason in reasons)
    figures = json.loads((await fetch(guarded, "/v1/records/s-1/report.json")).content)
    assert figures["sessions"][0]["evidence"]


async def test_an_exam_and_one_of_its_candidates(guarded: Server) -> None:
    exams = guarded.context.exams

    def prepare() -> str:
        made = exams.create("Biology", NOON, NOON + 7200, Rules(), NOON)
        exams.add(made.id, [Entry(candidate="A-1", name="Łęcka"), Entry(candidate="2", name="B")])
        return made.id

    exam = await asyncio.to_thread(prepare)
    whole = json.loads((await fetch(guarded, f"/v1/exams/{exam}/report.json")).content)
    assert [one["candidate"] for one in whole["candidates"]] == ["Łęcka", "B"]
    response = await fetch(guarded, f"/v1/exams/{exam}/report.csv?candidate=A-1")
    named = response.headers["Content-Disposition"]
    assert "filename*=UTF-8''voxwatch_Biology_%C5%81%C4%99cka_" in named
    named.partition("filename*")[0].encode("ascii")
    nobody = await fetch(guarded, f"/v1/exams/{exam}/report.csv?candidate=7")
    assert json.loads(nobody.content)["error"]["code"] == "unknown-candidate"


async def test_without_weasyprint_a_pdf_is_refused_and_nothing_is_noted(
    guarded: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    response = await fetch(guarded, "/v1/records/s-1/report.pdf")
    told = json.loads(response.content)["error"]
    assert (response.status, told["code"]) == (501, "no-pdf")
    assert "voxwatch[reports]" in told["message"]
    assert guarded.context.book is not None
    acts = [e for e in guarded.context.book.history("s-1") if isinstance(e, Acted)]
    assert "exported" not in {act.act for act in acts}
    assert (await fetch(guarded, "/v1/records/s-1/report.zip")).status == 200


async def test_more_reports_than_can_wait_are_refused(
    guarded: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "PLACES", 0)
    response = await fetch(guarded, "/v1/records/s-1/report.json")
    assert response.status == 503
    assert response.headers["Retry-After"]


async def test_a_server_that_keeps_no_records_says_so(
    settings: Callable[..., Config],
) -> None:
    async with Server(settings(records=False), drain_s=1.0) as server:
        response = await get(server, "/v1/records/s-1/report.json")
    assert json.loads(response.text)["error"]["code"] == "no-records"
