from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from models.benchmark.rivals import Rival, RivalError, media_time, speech_of

# Speaks at every whole second, and says how loud it is against the enrolment.
PROGRAM = """
import json, struct, sys
import numpy as np
out = sys.stdout.buffer
out.write(json.dumps({"name": "Loud 1", "accept": 0.75, "reject": 0.5}).encode() + b"\\n")
out.flush()
while header := sys.stdin.buffer.read(8):
    a, b = struct.unpack("<II", header)
    sound = np.frombuffer(sys.stdin.buffer.read(4 * (a + b)), "<f4")
    if b == 13:
        break
    seconds = b // 16000
    level = [abs(sound[a + 16000 * i : a + 16000 * (i + 1)]).mean() for i in range(seconds)]
    pairs = np.array([[i + 1, x / abs(sound[:a]).mean()] for i, x in enumerate(level)], "<f4")
    out.write(struct.pack("<I", seconds) + pairs.tobytes())
    out.flush()
"""


@pytest.fixture
def command(tmp_path: Path) -> str:
    (tmp_path / "rival.py").write_text(PROGRAM)
    return f"{sys.executable} {tmp_path / 'rival.py'}"


def test_a_rival_introduces_itself_and_answers(command: str) -> None:
    enrolment = np.full(8000, 0.5, np.float32)
    speech = np.concatenate([np.full(16000, 0.5), np.full(20000, 0.25)]).astype(np.float32)
    with Rival(command) as rival:
        assert (rival.about.name, rival.about.accept, rival.about.reject) == ("Loud 1", 0.75, 0.5)
        for _ in range(2):
            at, value = rival.score(enrolment, speech)
            np.testing.assert_allclose(at, [1, 2])
            np.testing.assert_allclose(value, [1.0, 0.5])
        at, value = rival.score(enrolment, speech[:0])
        assert len(at) == len(value) == 0


def test_an_answer_is_kept_for_the_same_sound_only(command: str, tmp_path: Path) -> None:
    one, other = np.full(16000, 0.5, np.float32), np.full(16000, 0.25, np.float32)
    with Rival(command, tmp_path / "cache") as rival:
        first = rival.score(one, other)
    kept = list((tmp_path / "cache" / "Loud-1").iterdir())
    assert [path.suffix for path in kept] == [".npy"]
    np.save(kept[0], np.array([[1, 9]], np.float32))  # a mark: what comes from the disk
    with Rival(command, tmp_path / "cache") as rival:
        assert rival.score(one, other)[1] == [9]
        assert rival.score(one, one)[1] == [1]
    assert first[1] == [0.5]


def test_a_rival_that_fails_is_an_error(command: str) -> None:
    with Rival(command) as rival:
        with pytest.raises(RivalError, match="Loud 1 failed on a conversation"):
            rival.score(np.ones(5, np.float32), np.ones(13, np.float32))
        with pytest.raises(RivalError, match="Loud 1 failed"):
            rival.score(np.ones(5, np.float32), np.ones(16000, np.float32))


def test_what_is_no_rival_is_an_error() -> None:
    with pytest.raises(RivalError, match="does not start"):
        Rival("/no/such/program")
    with pytest.raises(RivalError, match="did not introduce itself"):
        Rival(f"{sys.executable} -c pass")


def test_speech_and_media_time() -> None:
    spans = np.array([[1.0, 2.0], [5.0, 8.0]])
    found = media_time(spans, np.array([0.0, 0.5, 1.0, 1.5, 4.0, 9.0]))
    np.testing.assert_allclose(found, [1.0, 1.5, 2.0, 5.5, 8.0, 8.0])
    np.testing.assert_allclose(media_time(spans[:0], np.array([1.0])), [0.0])
    sound = np.arange(100, dtype=np.float32)
    np.testing.assert_array_equal(speech_of(sound, spans, 10), [*range(10, 20), *range(50, 80)])
    assert len(speech_of(sound, spans[:0], 10)) == 0
