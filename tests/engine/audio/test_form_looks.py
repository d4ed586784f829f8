"""How often sound is looked at for another form than was declared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from encodings_of_sound import ENCODED, s16
from numpy.typing import NDArray

from engine.audio.form_savings import DECLARED, Found, savings
from engine.audio.forms import SampleForm
from engine.audio.suspicion import ADVICE, BLOCK_BYTES, CHECKED, CLOSELY, FormCheck
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
