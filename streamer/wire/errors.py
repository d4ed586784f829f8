"""Error codes of wire version 1, and the WebSocket close code that follows each.

A close code is from RFC 6455, section 7.4.1.
"""

from __future__ import annotations

from typing import Any

from engine.errors import VoxwatchError

POLICY, TRY_LATER, GOING_AWAY, INTERNAL = 1008, 1013, 1001, 1011
CLOSE_CODES: dict[str, int] = {
    "binary-before-start": 1003,
    "wrong-frame": 1003,
    "text-not-utf8": 1007,
    "message-too-big": 1009,
    "bad-start": POLICY,
    "unknown-encoding": POLICY,
    "encoding-unsupported": POLICY,
    "bad-rate": POLICY,
    "bad-parameter": POLICY,
    "unknown-speaker": POLICY,
    "unusable-voiceprint": POLICY,
    "too-many-claims": POLICY,
    "bad-message": POLICY,
    "unknown-control": POLICY,
    "second-start": POLICY,
    "bad-sound": POLICY,
    "wrong-format": POLICY,
    "unknown-session": POLICY,
    "gap": POLICY,
    "taken-over": POLICY,
    "unauthorised": POLICY,
    "idle": POLICY,
    "stream-too-long": POLICY,
    "audio-quota": POLICY,
    "slow-consumer": POLICY,
    "too-many-attempts": POLICY,
    "consent-missing": POLICY,
    "unknown-stream": POLICY,
    "no-records": POLICY,
    "consent-withdrawn": POLICY,
    "name-taken": POLICY,
    "bad-name": POLICY,
    "overloaded": TRY_LATER,
    "shutting-down": GOING_AWAY,
    "store-failed": INTERNAL,
    "record-failed": INTERNAL,
    "engine-failed": INTERNAL,
}
# What plain HTTP is answered with: HTTP statuses (RFC 9110, section 15). Any other code is 400.
BAD_REQUEST = 400
HTTP_STATUS: dict[str, int] = {
    "unauthorised": 401,
    "forbidden-origin": 403,
    "forbidden-host": 403,
    "unknown-speaker": 404,
    "not-found": 404,
    "unknown-stream": 404,
    "no-records": 404,
    "unknown-exam": 404,
    "unknown-candidate": 404,
    "wrong-method": 405,
    "idle": 408,
    "unusable-voiceprint": 409,
    "message-too-big": 413,
    "recording-too-long": 413,
    "wrong-format": 415,
    "bad-sound": 422,
    "no-speech": 422,
    "audio-quota": 429,
    "too-often": 429,
    "too-many-attempts": 429,
    "engine-failed": 500,
    "store-failed": 500,
    "record-failed": 500,
    "exam-failed": 500,
    "no-pdf": 501,
    "overloaded": 503,
    "shutting-down": 503,
}
# An `error` with one of these codes is the last message of its connection; any other
# (`window-failed`, `claim-ended`, `stream-ends-soon`, `exam-ended`, `link-expired`) is news: more
# follows.


class WireError(VoxwatchError):
    """What the other side sent or asked for cannot be; ``code`` is told over the wire."""

    def __init__(
        self, code: str, message: str, request_id: Any = None, *, retry_s: float | None = None
    ) -> None:
        again = "" if retry_s is None else f": try again in {retry_s:g} s"
        super().__init__(message + again)
        self.code = code
        self.retry_s = retry_s  # after which it may be otherwise
        self.request_id = request_id  # of a control request that could be read that far

    @property
    def close_code(self) -> int:
        """The WebSocket close code that follows."""
        return CLOSE_CODES.get(self.code, POLICY)
