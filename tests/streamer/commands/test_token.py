"""`token new`: what is given to a client, and what the server keeps."""

from __future__ import annotations

import hashlib
import tomllib

from program import Run

from streamer.server.auth import Auth, Token


def test_a_new_token_is_the_one_that_the_lines_know(run: Run) -> None:
    done = run("token", "new", "--role", "stream", "--role", "monitor", "--name", 'Ann"s "desk"')
    assert done.stderr == ""
    token = done.stdout.partition("\n")[0].rpartition(": ")[2]
    (entry,) = tomllib.loads(done.stdout)["tokens"]
    assert entry["name"] == 'Ann"s "desk"'
    assert entry["sha256"] == hashlib.sha256(token.encode()).hexdigest()
    known = Token(name=entry["name"], roles=tuple(entry["roles"]), sha256=entry["sha256"])
    assert Auth([known], open_loopback=True).grant(token, 0.0).roles == {"stream", "monitor"}
    again = run("token", "new", "--role", "stream").stdout
    assert token not in again
    assert "to the server's configuration" in again.splitlines()[1]
    assert run("token", "new", "--role", "king").exit_code == 2
