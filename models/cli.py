"""The offline commands: verify, evaluate, benchmark, tune, train, calibrate, models.

`streamer.cli` loads this module by name. Imports of the commands' own modules stay inside
the functions: most of them import torch, and `verify` must not wait for it.
"""

# Long: mostly options and their help, which stand in one place for all commands.

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from engine.model.bundle import Manifest
from engine.model.encoder import ProviderChoice
from models.network import bundle_commands

EXIT_OTHER = 1  # `verify`: everything but a match

app = typer.Typer(rich_markup_mode=None)
app.add_typer(
    bundle_commands.app, name="models", help="List, fetch, import, export and check model bundles."
)

BundleOption = Annotated[
    Path | None,
    typer.Option("--bundle", metavar="FOLDER", help="A model bundle instead of the built-in one."),
]
ProviderOption = Annotated[
    ProviderChoice,
    typer.Option("--provider", help="What computes; auto is the fastest that runs here."),
]
ChannelOption = Annotated[
    int | None,
    typer.Option("--channel", min=0, help="Channel of recordings that have several, from 0."),
]
NoiseOption = Annotated[
    Path | None,
    typer.Option(
        "--noise",
        metavar="FOLDER",
        help="Noise recordings; only those held out from training are used, about a quarter,"
        " by a hash of the name up to its last hyphen [pink noise is synthesised].",
    ),
]


@app.command()
def verify(
    enroll: Annotated[
        list[Path],
        typer.Option("--enroll", metavar="FILE", help="A recording of the known voice; repeat."),
    ],
    test: Annotated[
        Path, typer.Option("--test", metavar="FILE", help="The recording in question.")
    ],
    bundle: BundleOption = None,
    prior: Annotated[
        float, typer.Option(help="Probability of one voice before listening, 0 to 1.")
    ] = 0.5,
    false_accept: Annotated[
        float, typer.Option(help="Tolerated chance that a match is wrong, 0 to 1.")
    ] = 0.05,
    false_reject: Annotated[
        float, typer.Option(help="Tolerated chance that a mismatch is wrong, 0 to 1.")
    ] = 0.05,
    channel: ChannelOption = None,
    provider: ProviderOption = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    allow_poor: Annotated[
        bool,
        typer.Option("--allow-poor", help="Go on with clipped or little speech, or unlike voices."),
    ] = False,
) -> None:
    """Compare recordings: is it the same voice?

    Prints the decision (match, mismatch, uncertain, insufficient) and what it follows from:
    the posterior at the stated prior, the calibrated log-likelihood ratio, the cosine and
    the net speech of both sides.

    A match is decided from a posterior of 1 - FALSE_ACCEPT up, a mismatch from FALSE_REJECT
    down; in between it is uncertain.

    \b
    Exit status: 0 match; 1 mismatch, uncertain or insufficient; 2 error.

    \b
    Examples:
      voxwatch verify --enroll alice1.wav --enroll alice2.wav --test call.wav
      voxwatch verify --enroll alice1.wav --test call.wav --channel 1 --json
    """
    from engine.model.bundle import load_bundle
    from models.evaluation.verify import Rule, Verifier, as_text

    rule = Rule(prior=prior, false_accept=false_accept, false_reject=false_reject)
    verifier = Verifier(load_bundle(bundle), provider)
    result = verifier.verify(enroll, test, rule, channel=channel, allow_poor=allow_poor)
    typer.echo(msgspec.json.encode(result).decode() if as_json else as_text(result))
    if result.reason:
        typer.echo(f"insufficient: {result.reason}", err=True)
    raise typer.Exit(0 if result.decision == "match" else EXIT_OTHER)


@app.command()
def evaluate(
    trials: Annotated[
        list[Path],
        typer.Argument(
            metavar="TRIALS...", help="Lists of `1 enrol.wav test.wav`, or folders of speakers."
        ),
    ],
    output: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the report, tables and plots go.")
    ] = Path("evaluation"),
    audio_root: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where the lists' paths start [the list's folder]."),
    ] = None,
    bundle: BundleOption = None,
    durations: Annotated[
        str, typer.Option(help="Net seconds of the test side, `full` for all of it.")
    ] = "1,2,3,5,full",
    conditions: Annotated[
        str, typer.Option(help="What befalls the test side: clean, noise, reverb, telephone, opus.")
    ] = "all",
    noise: NoiseOption = None,
    channel: ChannelOption = None,
    short: Annotated[
        Literal["drop", "keep"], typer.Option(help="Trials with too little speech for a duration.")
    ] = "drop",
    resamples: Annotated[
        int, typer.Option(min=0, help="Bootstrap resamples over speakers for the intervals.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of noise, rooms, trials and resamples.")] = 0,
    provider: ProviderOption = "auto",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of the model.")] = 1,
) -> None:
    """Measure a model bundle on a list of trials.

    Reports EER, minDCF, actDCF, Cllr and minCllr with intervals over speakers, for each
    duration of net speech and each condition of the test side, as report.md and report.json
    with DET and score plots.

    \b
    Examples:
      voxwatch evaluate trials.txt --audio-root wav --durations 2,3,full --conditions clean
      voxwatch evaluate speakers/ --bundle my-bundle --output report
    """
    from models.evaluation import evaluate as evaluation
    from models.evaluation.report import as_markdown

    report = evaluation.run(
        trials,
        output,
        audio_root=audio_root,
        bundle=bundle,
        durations_s=evaluation.parse_durations(durations),
        conditions=evaluation.parse_conditions(conditions),
        noise=noise,
        channel=channel,
        short=short,
        resamples=resamples,
        seed=seed,
        provider=provider,
        threads=threads,
    )
    typer.echo(as_markdown(report))
    for line in report.left_out:
        typer.echo(f"left out: {line}", err=True)
    typer.echo(f"written to {output}", err=True)


@app.command()
def benchmark(
    speakers: Annotated[
        Path,
        typer.Argument(
            metavar="SPEAKERS",
            help="A folder of speakers, a CSV with path and speaker, or a reference RTTM.",
        ),
    ],
    output: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the report, plots and RTTM go.")
    ] = Path("benchmark"),
    only: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Names of the speakers to use, one a line [all]."),
    ] = None,
    rttm: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Score this RTTM against the reference, no sound."),
    ] = None,
    bundle: BundleOption = None,
    per_kind: Annotated[
        int, typer.Option(min=1, help="Conversations of a kind; some have a part or a multiple.")
    ] = 150,
    noise: NoiseOption = None,
    rival: Annotated[
        list[str] | None,
        typer.Option(metavar="COMMAND", help="Another system behind a pipe; may repeat."),
    ] = None,
    rivals_hear: Annotated[
        int | None, typer.Option(min=1, help="Conversations of a kind for rivals [all].")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keeps the rivals' answers.")
    ] = None,
    cosine_threshold: Annotated[
        str | None,
        typer.Option(
            metavar="X|FILE",
            help="Of the fixed-cosine baseline: a number, or benchmark.json of other speakers.",
        ),
    ] = None,
    audio: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Writes the conversations as FLAC.")
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=0, help="Bootstrap resamples for the intervals.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of conversations, noise and resamples.")] = 0,
    provider: ProviderOption = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Conversations at once.")] = 1,
) -> None:
    """Measure live decisions on generated conversations.

    Makes conversations with known truth from recordings of any speakers, streams them through
    the live engine and reports times to accept and reject, wrong decisions, takeover delay
    against false alarms, and changes of voice, each with intervals over speakers. With --rttm
    it scores another system's turns against a reference instead.

    \b
    Examples:
      voxwatch benchmark speakers/ --output report --threads 2
      voxwatch benchmark report/reference.rttm --rttm other.rttm --output scored
    """
    from models import benchmark as bench
    from models.benchmark.report import as_markdown

    if rttm is not None:
        report = bench.score_rttm(speakers, rttm, output, resamples=resamples, seed=seed)
    else:
        report = bench.run(
            speakers,
            output,
            only=only,
            bundle=bundle,
            per_kind=per_kind,
            noise=noise,
            rivals=rival or (),
            rivals_hear=rivals_hear,
            cache=cache,
            cosine_threshold=cosine_threshold,
            audio=audio,
            resamples=resamples,
            seed=seed,
            provider=provider,
            threads=threads,
        )
    typer.echo(as_markdown(report))
    typer.echo(f"written to {output}", err=True)


@app.command()
def tune(
    speakers: Annotated[
        Path,
        typer.Argument(metavar="SPEAKERS", help="A folder of speakers, or a CSV of recordings."),
    ],
    output: Annotated[
        Path, typer.Option(metavar="FILE", help="The settings, for `voxwatch serve --config`.")
    ] = Path("voxwatch.toml"),
    false_accept: Annotated[
        float, typer.Option(help="Allowed share of impostors that are accepted, 0 to 0.5.")
    ] = 0.01,
    miss: Annotated[
        float, typer.Option(help="Allowed share of speakers that are rejected, 0 to 0.5.")
    ] = 0.05,
    false_alarms_per_hour: Annotated[
        float | None,
        typer.Option(help="Allowed alarms per hour of an accepted speaker [not looked at]."),
    ] = None,
    bundle: BundleOption = None,
    streams: Annotated[
        int, typer.Option(min=1, help="At most so many streams; twice as many of impostors.")
    ] = 400,
    seed: Annotated[int, typer.Option(min=0, help="Of streams and resamples.")] = 0,
    provider: ProviderOption = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Streams at once.")] = 1,
) -> None:
    """Choose settings that keep your error rates on your own recordings.

    Prints what every setting that was tried gives, with the upper ends of 95 % intervals, and
    saves the quickest that keeps what was asked for; refuses where the recordings are too few
    to tell. One a day is 0.04 false alarms per hour.

    \b
    Example:
      voxwatch tune recordings/ --false-accept 0.05 --miss 0.1 --output voxwatch.toml
    """
    from models.benchmark import tune as tuning

    costs = tuning.Costs(false_accept, miss, false_alarms_per_hour)
    found = tuning.tune(
        speakers,
        costs,
        bundle=bundle,
        streams=streams,
        seed=seed,
        provider=provider,
        threads=threads,
    )
    typer.echo(tuning.as_text(found))
    output.write_text(tuning.as_toml(found), encoding="utf-8")
    typer.echo(f"written to {output}", err=True)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file of a run.")],
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Checkpoint, log and curves [runs/CONFIG's name]."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in the output.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads [as many as there are cores].")
    ] = None,
) -> None:
    """Train a network.

    Everything it reads is prepared on the first run. A run that was killed loses a few
    minutes at most: give the same command with --resume.

    \b
    Examples:
      voxwatch train models/configs/c128_b2.toml
      voxwatch train models/configs/c128_b2.toml --resume
    """
    from models.training.train import run

    output = output or Path("runs") / config.stem
    run(config, output, resume=resume, device=device, threads=threads)


@app.command()
def calibrate(
    bundle: Annotated[Path, typer.Argument(metavar="FOLDER", help="The bundle to calibrate.")],
    cache: Annotated[
        Path, typer.Option(metavar="FOLDER", help="The speech that training prepared.")
    ],
    heldout: Annotated[Path, typer.Option(metavar="FILE", help="heldout.txt of the training run.")],
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The calibrated bundle [in place]."),
    ] = None,
    cohort_per_source: Annotated[
        int, typer.Option(min=2, help="Most cohort speakers from one source of speech.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of segments, trials and folds.")] = 0,
    provider: ProviderOption = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of the model.")] = 1,
) -> None:
    """Fit score normalisation and calibration into a bundle.

    Uses training data only: the cohort comes from speakers that were trained on, the
    calibration from those that training held out. Prints its quality on speakers that each
    fold of the cross-validation had not seen.

    \b
    Example:
      voxwatch calibrate bundles/mine --cache runs/cache --heldout runs/mine/heldout.txt
    """
    from models.calibration.calibrate import calibrate as fit

    fitted = fit(
        bundle,
        cache,
        heldout,
        output,
        cohort_per_source=cohort_per_source,
        seed=seed,
        provider=provider,
        threads=threads,
    )
    typer.echo(_calibration_table(fitted.manifest))
    typer.echo(
        "Evaluation and alarms of the bundle were of another calibration and are gone: `voxwatch "
        "evaluate` and scripts/fit_evidence.py measure and fit them again; until then live "
        "decisions use general figures.",
        err=True,
    )


def _calibration_table(manifest: Manifest) -> str:
    """Cross-validated figures by duration and condition, as the fit recorded them."""
    rows = manifest.calibration.fitted["cross_validated"] if manifest.calibration else []
    lines = [list(row) for row in rows[:1]] + [[str(cell) for cell in row.values()] for row in rows]
    return "\n".join("".join(f"{cell:>12}" for cell in line) for line in lines)
