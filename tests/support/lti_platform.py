"""A platform of LTI 1.3 in the documented form: it signs launches, and serves what a tool asks."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from streamer.lti.platform import Platform

CORE = "https://purl.imsglobal.org/spec/lti/claim/"
PROCTORING = "https://purl.imsglobal.org/spec/lti-ap/claim/"
LEARNER = "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"
TEACHER = "http://purl.imsglobal.org/vocab/lis/v2/membership#Instructor"
CLIENT, DEPLOYMENT = "voxwatch-there", "deployment-1"


class SigningKey:
    """A pair of keys, as a platform has them."""

    def __init__(self) -> None:
        self.id = secrets.token_hex(4)
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def public(self) -> dict[str, Any]:
        """As in a key set."""
        told = jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return told | {"kid": self.id, "alg": "RS256", "use": "sig"}

    def sign(self, claims: dict[str, Any]) -> str:
        """A token of these claims."""
        return jwt.encode(claims, self.private, "RS256", headers={"kid": self.id})


class FakePlatform:
    """``keys`` stand in its key set, the last one signs; ``flags`` are what it was sent.

    ``answers`` are the statuses of what is sent to its assessment control service, each once.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.keys = [SigningKey()]
        self.asked_for_keys = 0
        self.tokens: list[str] = []
        self.flags: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.answers: list[int] = []

    @property
    def registered(self) -> Platform:
        """As the tool knows it."""
        return Platform(
            issuer=self.url,
            client_id=CLIENT,
            deployment_ids=(DEPLOYMENT,),
            login_url=f"{self.url}/auth",
            token_url=f"{self.url}/token",
            jwks_url=f"{self.url}/jwks",
        )

    def login(self, **changes: str) -> dict[str, str]:
        """How it asks for somebody's login."""
        asked = {
            "iss": self.url,
            "client_id": CLIENT,
            "lti_deployment_id": DEPLOYMENT,
            "login_hint": "hint",
            "lti_message_hint": "message",
        }
        return asked | changes

    def claims(self, own_nonce: str, /, kind: str = "LtiStartProctoring", **changes: Any) -> Any:
        """What a launch says; a claim that is None is left out."""
        now = int(time.time())
        told: dict[str, Any] = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": "user-17",
            "name": "Ada Byron",
            "email": "ada@learners.example",
            "nonce": own_nonce,
            "iat": now,
            "exp": now + 300,
            CORE + "message_type": kind,
            CORE + "version": "1.3.0",
            CORE + "deployment_id": DEPLOYMENT,
            CORE + "roles": [LEARNER],
            CORE + "resource_link": {"id": "link-1", "title": "Oral <exam>"},
            CORE + "context": {"id": "course-1"},
            PROCTORING + "attempt_number": 1,
        }
        if kind == "LtiStartProctoring":
            told[PROCTORING + "session_data"] = "of the session"
            told[PROCTORING + "start_assessment_url"] = f"{self.url}/start"
            told[PROCTORING + "acs"] = {
                "actions": ["flag", "terminate"],
                "assessment_control_url": f"{self.url}/acs",
            }
        for name, value in changes.items():
            told[name] = value
        return {name: value for name, value in told.items() if value is not None}

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, Any]:
        """What a request is answered."""
        path = urlsplit(handler.path).path
        if path == "/jwks":
            self.asked_for_keys += 1
            return 200, {"keys": [one.public for one in self.keys]}
        if path == "/token":
            form = parse_qs(body.decode())
            assert form["scope"] == ["https://purl.imsglobal.org/spec/lti-ap/scope/control.all"]
            self.tokens.append(form["client_assertion"][0])
            return 200, {"access_token": "of the service", "token_type": "bearer"}
        if path == "/acs":
            self.headers.append(handler.headers)
            status = self.answers.pop(0) if self.answers else 200
            if status == 200:
                self.flags.append(json.loads(body))
            return status, {"status": "running"}
        return 404, {}


@contextmanager
def platform() -> Iterator[FakePlatform]:
    """One that serves until the context is left."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.tell(b"")

        def do_POST(self) -> None:
            self.tell(self.rfile.read(int(self.headers["Content-Length"])))

        def tell(self, body: bytes) -> None:
            status, content = served.answer(self, body)
            told = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served = FakePlatform(server.server_address[1])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield served
        finally:
            server.shutdown()
