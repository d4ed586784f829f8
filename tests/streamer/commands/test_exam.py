"""`voxwatch exam`, and many people enrolled at once."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import typer
from typer.testing import CliRunner, Result

from engine.model.bundle import Bundle
from streamer.cli import app
from streamer.commands import exam_show
from streamer.commands.bulk import BulkError, people_in
from streamer.exams.errors import BadRoster, ExamError, UnknownExam

Run = Callable[..., Result]
ROSTER = "candidate;name;voiceprint;accommodations\n4711;Anna Meier;anna;\n4712;Ben Ode;;stutter\n"


@pytest.fixture
def run(tmp_path: Path, spectral_bundle: Bundle) -> Run:
    env = {
        "VOXWATCH_DATA_DIR": str(tmp_path / "data"),
        "VOXWATCH_BUNDLE": str(spectral_bundle.folder),
        "VOXWATCH_PROVIDER": "cpu",
        "VOXWATCH_CONFIG": "",
        "VOXWATCH_ORIGINS": "https://voice.example.org",
    }

    def invoke(*arguments: object) -> Result:
        result = CliRunner(env=env).invoke(app, [*map(str, arguments)])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    path = tmp_path / "algebra.csv"
    path.write_text(ROSTER)
    return path


def made(run: Run, roster: Path, *more: object) -> str:
    """The id of a new exam."""
    told = run("exam", "create", "Algebra I", "--roster", roster, "--json", *more).stdout
    return str(json.loads(told)["id"])


def links(run: Run, exam: str, *more: object) -> dict[str, dict[str, str]]:
    rows = csv.DictReader(io.StringIO(run("exam", "link", exam, *more).stdout))
    return {row["candidate"]: row for row in rows}


def test_an_exam_from_its_roster_to_its_end(run: Run, roster: Path) -> None:
    exam = made(run, roster, "--hours", 3, "--writing", "--incident", 8)
    (row,) = [line for line in run("exam", "list").stdout.splitlines() if exam in line]
    assert "Algebra I" in row
    told = json.loads(run("exam", "show", exam, "--json").stdout)
    assert json.loads(run("exam", "show", exam).stdout) == told, "it is piped"
    assert told["exam"]["ends_at"] - told["exam"]["starts_at"] == 3 * 3600
    assert told["roster"][1]["accommodations"] == ["stutter"]
    assert "ended" in run("exam", "end", exam).stdout
    with pytest.raises(ExamError, match="over"):
        run("exam", "link", exam)


def test_an_exam_is_shown_in_words_on_a_terminal(
    run: Run, roster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exam = made(run, roster, "--writing", "--incident", 8, "--no-enrol", "--false-accept", 0.001)
    run("exam", "withdraw-clips", exam, "4712")
    monkeypatch.setattr(exam_show, "sys", SimpleNamespace(stdout=Terminal()))
    lines = run("exam", "show", exam).stdout.splitlines()
    assert lines[0] == f"Algebra I ({exam})"
    assert "not ended" in lines[1]
    assert lines[2:7] == [
        "told: another voice for 8 s of speech",
        "told: 60 s of speech without a decision",
        "silence is not told: candidates write",
        "who is not enrolled is not taken",
        "tolerated: 0.1 % wrong matches",
    ]
    head, anna, ben, _, total = lines[8:]
    assert head.split("  ")[0] == "candidate"
    assert anna.split() == ["4711", "Anna", "Meier", "anna", "not", "opened", "no"]
    assert " refused 20" in ben
    assert ben.endswith("stutter")
    assert total == "2 candidates, 0 enrolled, 0 opened their link"
    assert json.loads(run("exam", "show", exam, "--json").stdout)["exam"]["id"] == exam
    empty = json.loads(run("exam", "create", "B", "--json").stdout)["id"]
    assert f"voxwatch exam roster {empty} FILE.csv" in run("exam", "show", empty).stdout


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_no_spreadsheet_takes_a_name_for_a_formula(run: Run, tmp_path: Path) -> None:
    roster = tmp_path / "sums.csv"
    roster.write_text("candidate,name\n4711,=1+1\n")
    assert links(run, made(run, roster))["4711"]["name"] == "'=1+1"


def test_links_that_end_before_their_exam_are_told(run: Run, roster: Path) -> None:
    exam = made(run, roster, "--hours", 3)
    assert "they expire before the exam ends" in run("exam", "link", exam, "--hours", 2).stderr
    assert "warning" not in run("exam", "link", exam, "--hours", 4).stderr
    assert "warning" not in run("exam", "link", exam).stderr


def test_links_are_the_same_until_they_are_renewed(run: Run, roster: Path) -> None:
    exam = made(run, roster)
    first = links(run, exam)
    assert set(first) == {"4711", "4712"}
    assert first["4711"]["link"].startswith("https://voice.example.org/candidate#candidate-")
    assert links(run, exam) == first
    renewed = links(run, exam, "--candidate", "4711", "--renew", "--url", "http://localhost:1/")
    assert set(renewed) == {"4711"}
    assert renewed["4711"]["link"].startswith("http://localhost:1/candidate#")
    now = links(run, exam)
    assert now["4711"]["link"].partition("#")[2] == renewed["4711"]["link"].partition("#")[2]
    assert now["4711"] != first["4711"]
    assert now["4712"] == first["4712"]


def test_a_roster_with_a_mistake_changes_nothing(run: Run, roster: Path, tmp_path: Path) -> None:
    exam = made(run, roster)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("candidate,name\n4713,Cleo\n4714,Dan,,deaf\n")
    with pytest.raises(BadRoster, match="line 3"):
        run("exam", "roster", exam, wrong)
    assert len(links(run, exam)) == 2
    wrong.write_text("candidate,name\n4713,Cleo\n4711,Anna Ode\n")
    assert "3 candidates" in run("exam", "roster", exam, wrong).stdout
    assert links(run, exam)["4711"]["name"] == "Anna Ode"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("show", "0000"), UnknownExam),
        (("create", ""), ExamError),
        (("create", "A", "--false-accept", "0.7"), ExamError),
        (("create", "A", "--hours", "10000"), ExamError),
    ],
)
def test_what_cannot_be_is_refused(run: Run, arguments: tuple[str, ...], error: type) -> None:
    with pytest.raises(error):
        run("exam", *arguments)


def test_a_time_that_cannot_be_read_is_wrong_usage(run: Run) -> None:
    done = run("exam", "create", "A", "--start", "tomorrow")
    assert done.exit_code == 2
    assert "2027-02-01 09:00" in done.output


# Many people at once.


@pytest.fixture
def recordings(tmp_path: Path, voice: Callable[..., Any]) -> Path:
    """Anna in one recording, Bert in two, and somebody of whom there is too little."""
    folder = tmp_path / "recordings"
    (folder / "bert").mkdir(parents=True)
    quiet = np.random.default_rng(0).normal(0, 1e-3, 8_000)  # to measure the noise by

    def record(file: str, name: str, seconds: float, seed: int) -> None:
        sound = np.concatenate([quiet, voice(name, seconds, seed=seed), quiet])
        sf.write(folder / file, sound, 16_000, subtype="PCM_16")

    record("anna.wav", "anna", 25.0, 1)
    record("bert/2.flac", "bert", 25.0, 2)
    record("bert/3.flac", "bert", 25.0, 3)
    record("cleo.wav", "anna", 3.0, 4)
    (folder / "dan.wav").write_text("no sound")
    (folder / "notes.txt").write_text("nothing")
    return folder


def test_a_folder_is_enrolled_and_who_is_refused_is_told(
    run: Run, recordings: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.csv"
    report.touch(0o644)
    done = run("enroll", "--from", recordings, "--consent", "--report", report)
    assert done.exit_code == 1
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(report.read_text()))}
    results = {name: row["result"] for name, row in rows.items()}
    assert results == {
        "anna": "enrolled", "bert": "enrolled", "cleo": "refused", "dan": "failed",
    }  # fmt: skip
    assert "too-short" in rows["cleo"]["why"]
    assert report.stat().st_mode & 0o777 == 0o600
    listed = [json.loads(line) for line in run("profiles", "list", "--json").stdout.splitlines()]
    assert {one["name"]: one["prototypes"] for one in listed} == {"anna": 1, "bert": 2}
    (recordings / "cleo.wav").unlink()
    (recordings / "dan.wav").unlink()
    again = run("enroll", "--from", recordings, "--consent")
    assert again.exit_code == 0
    assert again.stdout.count("there already") == 2


def test_a_list_names_people_and_files(tmp_path: Path) -> None:
    listed = tmp_path / "people.csv"
    listed.write_text("file;name\na.wav;Anna\nb/c.wav;Bert\nd.wav;Anna\n")
    anna, bert = people_in(listed)
    assert anna.files == (tmp_path / "a.wav", tmp_path / "d.wav")
    assert bert.files == (tmp_path / "b" / "c.wav",)
    listed.write_text("Anna, a.wav\nBert\n")
    with pytest.raises(BulkError, match="line 2"):
        people_in(listed)


def test_nobody_is_enrolled_who_may_not_have_agreed(run: Run, recordings: Path) -> None:
    with pytest.raises(BulkError, match="--consent"):
        run("enroll", "--from", recordings)
    for wrong in (("anna", "--from", recordings), ()):
        done = run("enroll", *wrong)
        assert done.exit_code == 2, typer.unstyle(done.output)
