import numpy as np

from scripts.check_labels import doubtful


def test_shared_accounts_and_second_accounts_are_found():
    rng = np.random.default_rng(0)
    voices = rng.standard_normal((12, 64))

    def said(voice, count):
        return (voices[voice] + 0.3 * rng.standard_normal((count, 64))).astype(np.float32)

    speakers = {f"s{i}": said(i, 6) for i in range(10)}
    speakers["shared"] = np.concatenate([said(10, 4), said(11, 2)])
    speakers["again"] = said(0, 3)
    speakers["more"] = said(9, 7)
    found = doubtful(speakers)
    assert set(found) == {"shared", "again", "s9"}
    assert found["again"] == "sounds like s0"
    assert found["s9"] == "sounds like more"
