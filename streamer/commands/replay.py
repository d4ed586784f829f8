"""`voxwatch replay`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from streamer.commands.options import (
    BundleOption,
    ChannelOption,
    ConfigOption,
    DataOption,
    FalseAcceptOption,
    MissOption,
    ProviderOption,
    configured,
)
from streamer.commands.stream import parse_speed

EnrollOption = Annotated[
    list[str] | None,
    typer.Option("--enroll", metavar="NAME=FILE", help="A voice for this once; may repeat."),
]
ClaimOption = Annotated[
    str | None,
    typer.Option(metavar="NAMES", help="Who it should be [anyone enrolled: who is it?]."),
]
PriorOption = Annotated[
    float | None, typer.Option(help="Probability of the claim before listening, 0 to 1.")
]


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The recording to listen to.")],
    enroll: EnrollOption = None,
    claim: ClaimOption = None,
    speed: Annotated[str, typer.Option(help="Times real time, or `max`.")] = "max",
    channel: ChannelOption = None,
    prior: PriorOption = None,
    false_accept: FalseAcceptOption = None,
    miss: MissOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
    bundle: BundleOption = None,
    provider: ProviderOption = None,
) -> None:
    """Run a recording through the streaming engine and print its events.

    One JSON object a line, with media time in seconds: speech, scores, decisions, changes of
    voice, and a summary. Known are the voices of --enroll, or where none is given those of the
    local store. The same file gives the same lines every time.

    \b
    Examples:
      voxwatch replay call.wav --enroll alice=alice1.wav --claim alice
      voxwatch replay call.wav --claim alice,bob --speed 1 --false-accept 0.001
    """
    settings = configured(
        config,
        data_dir=data,
        bundle=bundle,
        provider=provider,
        prior=prior,
        false_accept=false_accept,
        miss=miss,
    )
    times = parse_speed(speed)
    # Loaded here, so that --help waits for no model.
    from streamer.client import as_line
    from streamer.local.local import names_of, session_config, voices
    from streamer.local.replay import Replay, parse_enrolment

    files = [parse_enrolment(text) for text in enroll or ()]
    # The first that runs differs between machines; a replay is the same everywhere.
    where = "cpu" if settings.provider == "auto" else settings.provider
    engine, names = Replay(settings.bundle, where), names_of(claim)
    known = engine.enrol(files) if files else voices(engine, settings, (), names)
    begun = time.monotonic()
    told = engine.events(file, known, names, channel=channel, config=session_config(settings))
    for number, event in enumerate(told):
        if times is not None:
            time.sleep(max(0.0, begun + event.t / times - time.monotonic()))
        typer.echo(as_line(event, number))
