"""Open edX as we call it: its token is asked for once, and what goes wrong is said in words."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from streamer.edx.lms import Lms, LmsError
from streamer.edx.payloads import Review

NOW = 1_700_000_000.0
READY = "/lms/api/edx_proctoring/v1/proctored_exam/attempt/a1/ready"


class Server(HTTPServer):
    """Answers with what ``answers`` has for a path, and keeps what came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.came: list[tuple[str, str, bytes]] = []
        token = json.dumps({"access_token": "t", "expires_in": 60, "token_type": "JWT"})
        self.answers: dict[str, tuple[int, bytes]] = {
            "/lms/oauth2/access_token": (200, token.encode())
        }


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.came.append((self.path, self.headers.get("Authorization", ""), body))
        status, told = self.server.answers.get(self.path, (200, b"{}"))
        self.send_response(status)
        self.send_header("Content-Length", str(len(told)))
        if status in (301, 302, 307):
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def lms(server: Server) -> Lms:
    return Lms(f"http://127.0.0.1:{server.server_port}/lms/", "us", "secret")


def test_a_token_is_asked_for_once_and_again_before_it_expires(server: Server, lms: Lms) -> None:
    for now in (NOW, NOW + 49, NOW + 51):
        lms.ready("a1", now)
    paths = [path.rpartition("/")[2] for path, _, _ in server.came]
    assert paths == ["access_token", "ready", "ready", "access_token", "ready"]
    form = parse_qs(server.came[0][2].decode())
    assert (form["client_id"], form["client_secret"]) == (["us"], ["secret"])
    assert server.came[1] == (READY, "JWT t", b'{"status":"ready"}')


def test_a_review_is_told_as_open_edx_takes_it(server: Server, lms: Lms) -> None:
    lms.reviewed("a1", Review(status="passed"), NOW)
    assert json.loads(server.came[-1][2]) == {"status": "passed", "comments": []}


@pytest.mark.parametrize(
    ("path", "status", "body", "words", "final"),
    [
        ("/lms/oauth2/access_token", 401, b"", "no token", False),
        ("/lms/oauth2/access_token", 200, b"<html>", "no token", False),
        ("/lms/oauth2/access_token", 302, b"", "no token", False),
        (READY, 403, b"", "group", False),
        (READY, 404, b"", "404", True),
        (READY, 500, b"", "500", False),
        (READY, 307, b"", "307", False),
    ],
)
def test_what_goes_wrong_is_said_without_the_secret(
    server: Server, lms: Lms, path: str, status: int, body: bytes, words: str, final: bool
) -> None:
    server.answers[path] = (status, body)
    with pytest.raises(LmsError, match=words) as caught:
        lms.ready("a1", NOW)
    assert caught.value.final is final
    assert "secret" not in str(caught.value)
    assert "/elsewhere" not in [path for path, _, _ in server.came]


def test_a_token_that_was_taken_back_is_asked_for_anew(server: Server, lms: Lms) -> None:
    server.answers[READY] = (401, b"")
    with pytest.raises(LmsError):
        lms.ready("a1", NOW)
    del server.answers[READY]
    lms.ready("a1", NOW + 1)
    assert [path for path, _, _ in server.came].count("/lms/oauth2/access_token") == 2


def test_who_does_not_answer_is_told_as_that(server: Server) -> None:
    port = server.server_port
    server.shutdown()
    server.server_close()
    with pytest.raises(LmsError, match="does not answer"):
        Lms(f"http://127.0.0.1:{port}", "us", "secret").ready("a1", NOW)
