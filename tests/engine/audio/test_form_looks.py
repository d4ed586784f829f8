"""How often sound is looked at for another form than was declared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import Mock, patch

import numpy as np
import pytest
from encodings_of_sound import ENCODED, s16
from numpy.typing import NDArray

from engine.audio.form_savings import DECLARED, Found, savings
from engine.audio.forms import SampleForm
from engine.audio.suspicion import (
    ADVICE,
    BLOCK_BYTES,
    CHECKED,
    CLOSELY,
    GLANCED,
    MOST_SKIPPED,
    ROUGH,
    FormCheck,
)
from engine.format import Encoding

Float32 = NDArray[np.float32]
Voice = Callable[..., Float32]


@pytest.mark.parametrize("encoding", DECLARED)
def test_sound_that_is_as_declared_is_soon_looked_at_now_and_then(
    encoding: Encoding, voice: Voice
) -> None:
    check, data = FormCheck(encoding, 1), ENCODED[DECLARED[encoding]](voice("anna", 30.0))
    places = []

    def looked(*given: Any) -> Found:
        places.append(fed)
        return savings(*given)

    with patch("engine.audio.suspicion.savings", looked):
        for fed in range(0, len(data), BLOCK_BYTES):
            check.feed(data[fed : fed + BLOCK_BYTES])
    assert CLOSELY < len(places) <= CHECKED
    assert places[-1] >= 60 * BLOCK_BYTES


@pytest.mark.parametrize("right_s", [1.0, 4.0, 10.0])
@pytest.mark.parametrize("form", ["float32", "mulaw", "stereo"])
def test_a_form_that_changes_is_named_within_some_seconds(
    right_s: float, form: SampleForm, voice: Voice
) -> None:
    right, sound = s16(voice("anna", right_s)).tobytes(), voice("bert", 4.0, seed=2)
    if form == "stereo":
        wrong = np.stack([s16(sound), s16(voice("anna", 4.0))], axis=1).tobytes()
    else:
        wrong = ENCODED[form](sound)
    found = FormCheck("pcm_s16le", 1).feed(right + wrong)
    named = [(place, one.likely) for place, one in found if one is not None and one.sure]
    place, likely = named[-1]
    assert likely == ADVICE[form][0]
    assert place - len(right) <= 14 * BLOCK_BYTES


def late(form: str, sound: Float32, other: Float32) -> bytes:
    """Sound of another form than 16 bits and one channel, or a byte late."""
    if form == "stereo":
        return np.stack([s16(sound), s16(other)], axis=1).tobytes()
    if form == "shifted":
        return s16(sound).tobytes()[1:]
    return ENCODED[form](sound)


@pytest.mark.parametrize(
    "form", ["stereo", "shifted", "byte-swapped", "int24", "int32", "float32", "float64"]
)
@pytest.mark.parametrize("right_s", [20.0, 60.0])
def test_a_form_that_changes_after_minutes_is_named(
    form: str, right_s: float, voice: Voice
) -> None:
    right = s16(voice("anna", right_s)).tobytes()
    right = right[: len(right) // 24 * 24]  # whole samples of every size
    wrong = late(form, voice("bert", 5.0, seed=2), voice("anna", 5.0, seed=3))
    found = FormCheck("pcm_s16le", 1).feed(right + wrong)
    (first, doubted), *_ = found
    named = [(place, one.likely) for place, one in found if one is not None and one.sure]
    assert doubted is not None
    assert 0 < first - len(right) <= (GLANCED + ROUGH + 4) * BLOCK_BYTES
    assert named[-1][1] == ADVICE[form][0]


def test_what_was_wrong_for_a_while_is_in_order_afterwards(voice: Voice) -> None:
    right = s16(voice("anna", 20.0)).tobytes()
    found = FormCheck("pcm_s16le", 1).feed(
        right + late("stereo", *[voice("bert", 4.0)] * 2) + right
    )
    sure = [one is not None and one.sure for _, one in found]
    assert sure[-2:] == [True, False]
    assert found[-1][1] is None


def looks(check: FormCheck, sound: Float32) -> int:
    """How often more of the sound is judged."""
    with patch("engine.audio.suspicion.savings", Mock(side_effect=savings)) as judged:
        assert check.feed(s16(sound).tobytes()) == []
    return judged.call_count


def test_hiss_is_judged_the_seldomer_the_longer_it_lasts(voice: Voice) -> None:
    check, rng = FormCheck("pcm_s16le", 1), np.random.default_rng(2)
    check.feed(s16(voice("anna", 20.0)).tobytes())
    hiss = 0.02 * rng.standard_normal(60 * 16_000)
    counts = [looks(check, hiss.astype(np.float32)) for _ in range(3)]
    assert counts[0] > counts[1] >= counts[2] > 0
    blocks = 2 * len(hiss) // BLOCK_BYTES
    assert counts[2] <= blocks / MOST_SKIPPED + 1
    looks(check, voice("anna", 10.0))
    assert looks(check, hiss.astype(np.float32)) > counts[2]  # after speech it may be another form
