"""`voxwatch replay`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from streamer.commands.options import (
    AllowPoorOption,
    BundleOption,
    ChannelOption,
    ClaimOption,
    ConfigOption,
    DataOption,
    EnrollOption,
    FalseAcceptOption,
    JsonOption,
    MissOption,
    PriorOption,
    ProviderOption,
    SpeedOption,
    configured,
    parse_speed,
)


@dataclass(frozen=True, kw_only=True)
class ReplayCommand:
    """Run a recording through the streaming engine and print its events.

    On a terminal a table of decisions, turns and changes of voice; elsewhere, and with --json,
    every event as a line of JSON, with media time in seconds. Known are the voices of --enroll,
    or where none is given those of the local store. The same file gives the same lines every
    time.

    \b
    Examples:
      voxwatch replay call.wav --enroll alice=alice1.wav --claim alice
      voxwatch replay call.wav --claim alice,bob --speed 1 --false-accept 0.001
    """

    file: Annotated[Path, typer.Argument(metavar="FILE", help="The recording to listen to.")]
    enroll: EnrollOption = None
    allow_poor: AllowPoorOption = False
    claim: ClaimOption = None
    speed: SpeedOption = "max"
    channel: ChannelOption = None
    prior: PriorOption = None
    false_accept: FalseAcceptOption = None
    miss: MissOption = None
    config: ConfigOption = None
    data_dir: DataOption = None
    bundle: BundleOption = None
    provider: ProviderOption = None
    as_json: JsonOption = False

    def run(self) -> None:
        """Print the events, at the pace that was asked for."""
        settings, times = configured(self), parse_speed(self.speed)
        # Loaded here, so that --help waits for no model.
        from streamer.commands.event_table import printer
        from streamer.local.replay import Replay, parse_enrolment
        from streamer.local.voices import names_of, voices
        from streamer.session_config import session_config

        files = [parse_enrolment(text) for text in self.enroll or ()]
        # The first that runs differs between machines; a replay is the same everywhere.
        where = "cpu" if settings.provider == "auto" else settings.provider
        replay, names = Replay(settings.bundle, where), names_of(self.claim)
        if files:
            enrolled = replay.enrol(files, channel=self.channel, allow_poor=self.allow_poor)
        else:
            enrolled = voices(replay, settings, {}, names)
        begun = time.monotonic()
        told = replay.events(
            self.file, enrolled, names, channel=self.channel, config=session_config(settings)
        )
        show = printer(self.as_json)
        for event in told:
            if times is not None:
                time.sleep(max(0.0, begun + event.t / times - time.monotonic()))
            show.update(event)
