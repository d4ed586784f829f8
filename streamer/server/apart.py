"""Recordings of rarer forms, decoded in a process of their own: a stranger has sent them.

A file of 1.5 KB can say that it has 80 million frames, on which FFmpeg spends 8 s and 2.9 GB before
it has decoded one. So the process has bounds of time and memory, and takes nothing else with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from engine.errors import AudioError
from streamer.wire.errors import WireError
from streamer.wire.requests import VerifyRecording

MOST_BYTES = 1 << 30  # of memory, of which the libraries take a third
MOST_CPU_S = 20  # that decoding may take: a minute of sound takes some 0.4 s
LOOK_S = 0.2  # between two looks at whether anybody waits for it
# Neither variables with secrets nor those that load something go along.
KEPT = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "TZ", "LANG")


@dataclass(frozen=True, slots=True)
class Decoded:
    """One channel at the rate of the file, as 32-bit floats, and what is wrong with the file."""

    rate_hz: int
    pcm: bytes
    warnings: tuple[str, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """What the process says before the sound, or instead of it."""

    rate_hz: int = 0
    code: str = ""
    message: str = ""
    warnings: tuple[str, ...] = ()


def decode_apart(body: bytes, asked: VerifyRecording, over: Callable[[], bool]) -> Decoded:
    """The sound of a recording. Raises :class:`WireError`, soon after ``over`` too."""
    # All users of the machine see what a process is started with: nobody's name is in it.
    channel = VerifyRecording(channel=asked.channel)
    said = _run(body, msgspec.json.encode(channel), over)
    line, _, pcm = said.partition(b"\n")
    try:
        answer = msgspec.json.decode(line, type=Answer)
    except msgspec.MsgspecError as error:
        raise WireError(
            "bad-sound", "decoding it took more than it may: convert it to WAV or FLAC"
        ) from error
    if answer.code:
        raise WireError(answer.code, answer.message)
    return Decoded(answer.rate_hz, pcm, answer.warnings)


def _run(body: bytes, asked: bytes, over: Callable[[], bool]) -> bytes:
    known = {name: os.environ[name] for name in KEPT if name in os.environ}
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    paths = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", __name__, asked.decode()]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=known | threads | paths,
    ) as process:
        ended = threading.Event()
        watching = threading.Thread(target=_watch, args=(process, ended, over), daemon=True)
        watching.start()
        try:
            said = process.communicate(body)[0]
        finally:
            ended.set()
            process.kill()
            watching.join()
    if over():
        raise WireError("overloaded", "decoding took too long: try later")
    return said


def _watch(
    process: subprocess.Popen[bytes], ended: threading.Event, over: Callable[[], bool]
) -> None:
    """End the process when nobody waits for it any more."""
    while not ended.wait(LOOK_S):
        if over():
            process.kill()


def main() -> None:
    """Decode what comes on standard input, within bounds."""
    _bound()
    from streamer.server.recording import PostedRecording

    asked = msgspec.json.decode(sys.argv[1], type=VerifyRecording)
    try:
        recording = PostedRecording(sys.stdin.buffer.read(), asked, apart=True)
        pcm = b"".join(recording.pieces())
        answer = Answer(recording.start.sample_rate, warnings=recording.warnings)
    except WireError as error:
        pcm, answer = b"", Answer(code=error.code, message=str(error))
    except AudioError as error:  # of damage that shows only while it is decoded
        pcm, answer = b"", Answer(code="bad-sound", message=str(error))
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n" + pcm)


def _bound() -> None:
    """Bounds that only POSIX has."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_S, MOST_CPU_S))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
