"""The fixed share of a trial list."""

from __future__ import annotations

from scripts import subset_trials as script

LINES = [f"{int(i == j)} s{i}/a.wav s{j}/b.wav" for i in range(30) for j in range(30)]


def test_both_files_of_every_trial_are_among_the_share():
    chosen = script.subset(LINES, 0.5)
    files = {path for line in chosen for path in line.split()[1:]}
    assert 0 < len(files) <= 30
    assert 100 < len(chosen) < 350
    assert [line for line in LINES if set(line.split()[1:]) <= files] == chosen


def test_the_choice_is_the_same_every_time_and_a_whole_share_is_all():
    assert script.subset(LINES, 0.3) == script.subset(list(LINES), 0.3)
    assert script.subset(LINES, 1.0) == LINES
