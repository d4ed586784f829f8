"""`voxwatch verify` compares recordings of voices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from models.commands.options import (
    AllowPoorOption,
    BundleOption,
    ChannelOption,
    ProviderOption,
)

EXIT_OTHER = 1  # of every answer but a match


@dataclass(frozen=True, kw_only=True)
class VerifyCommand:
    """Compare recordings: is it the same voice?

    Prints the decision (match, mismatch, uncertain, insufficient) and what it follows from:
    the evidence, the posterior at the stated prior, the calibrated log-likelihood ratio, the
    cosine and the net speech of both sides.

    The rule is that of live decisions, and its bounds are printed; between them it is
    uncertain, and so is a test in a part of which another voice speaks.

    \b
    Exit status: 0 match; 1 mismatch, uncertain or insufficient; 2 error.

    \b
    Examples:
      voxwatch verify --enroll alice1.wav --enroll alice2.wav --test call.wav
      voxwatch verify --enroll alice1.wav --test call.wav --channel 1 --json
    """

    enroll: Annotated[
        list[Path],
        typer.Option("--enroll", metavar="FILE", help="A recording of the known voice; repeat."),
    ]
    test: Annotated[Path, typer.Option("--test", metavar="FILE", help="The recording in question.")]
    bundle: BundleOption = None
    prior: Annotated[
        float, typer.Option(help="Probability of one voice before listening, 0 to 1.")
    ] = 0.5
    false_accept: Annotated[
        float, typer.Option(help="Tolerated share of strangers who are matched, 0 to 1.")
    ] = 0.05
    miss: Annotated[
        float,
        typer.Option(
            "--miss",
            "--false-reject",  # as it was called before 0.4
            help="Tolerated share of right speakers who are denied, 0 to 1.",
        ),
    ] = 0.05
    channel: ChannelOption = None
    provider: ProviderOption = "cpu"
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False
    allow_poor: AllowPoorOption = False

    def run(self) -> None:
        """Print the decision and what it follows from."""
        from engine.model.bundle import load_bundle
        from models.evaluation.verification import Rule, as_text
        from models.evaluation.verify import Verifier

        rule = Rule(prior=self.prior, false_accept=self.false_accept, miss=self.miss)
        verifier = Verifier(load_bundle(self.bundle), self.provider)
        result = verifier.verify(
            self.enroll, self.test, rule, channel=self.channel, allow_poor=self.allow_poor
        )
        typer.echo(msgspec.json.encode(result).decode() if self.as_json else as_text(result))
        if result.reason:
            typer.echo(f"{result.decision}: {result.reason}", err=True)
        raise typer.Exit(0 if result.decision == "match" else EXIT_OTHER)
