import numpy as np
import pytest
import soundfile as sf
from loudness import Loudness

from engine.model.manifest import DecisionFigures
from models.evaluation import embeddings
from models.evaluation.spoofing import read_spoof_list, spoof_acceptance
from models.evaluation.trials import TrialError


@pytest.fixture
def listed(tmp_path, monkeypatch):
    def everything(waveforms, *_):
        return [np.ones(len(w), bool) for w in waveforms]

    monkeypatch.setattr(embeddings, "speech_mask", everything)
    for name, peak in (("real0", 0.5), ("real1", 0.5), ("clone0", 0.5), ("clone1", 0.1)):
        sound = np.zeros(8000, np.float32)
        sound[::7] = peak
        sf.write(tmp_path / f"{name}.wav", sound, 16000, subtype="FLOAT")
    path = tmp_path / "spoof_a.txt"
    path.write_text(
        "bonafide real0.wav real1.wav\nspoof real0.wav clone0.wav\nspoof real0.wav clone1.wav\n"
    )
    return path


def test_clones_that_are_close_are_counted_as_accepted(listed):
    rows = spoof_acceptance(read_spoof_list(listed), Loudness(), DecisionFigures(), progress=False)
    assert [row["stated_false_accept"] for row in rows] == [0.05, 0.01, 0.002]
    for row in rows:
        assert (row["real_trials"], row["cloned_trials"]) == (1, 2)
        assert (row["real_accepted"], row["clones_accepted"]) == (1.0, 0.5)


def test_a_row_of_another_kind_is_refused_by_its_line(listed):
    listed.write_text("bonafide a b\n1 a b\n")
    with pytest.raises(TrialError, match="line 2: expected `spoof enrol test`"):
        read_spoof_list(listed)
