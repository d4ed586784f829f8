"""`voxwatch lti ...`: the keys by which platforms of LTI know this tool."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from streamer.commands.opened import opened_records
from streamer.commands.options import ConfigOption, DataOption, configured
from streamer.commands.profiles import table, when

if TYPE_CHECKING:
    from streamer.config import Config
    from streamer.lti.keys import OwnKeys

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Show and rotate the keys of LTI."
)


@app.command("keys")
@dataclass(frozen=True, kw_only=True)
class KeysCommand:
    """List the keys that stand in the key set at /lti/jwks.

    \b
    Example:
      voxwatch lti keys
    """

    config: ConfigOption = None
    data_dir: DataOption = None

    def run(self) -> None:
        """List them, the oldest first."""
        with _opened_keys(configured(self)) as keys:
            keys.signing(time.time())
            rows = [("key", "signs from", "until")]
            rows += [
                (one.id, when(one.signs_at), "" if one.until is None else when(one.until))
                for one in keys.all()
            ]
        typer.echo(table(rows))


@app.command("rotate")
@dataclass(frozen=True, kw_only=True)
class RotateCommand:
    """Make another key. A server that runs takes it over by itself.

    It stands in the key set at once and signs from an hour later on, when platforms that keep the
    set have fetched it; the old key stands there for a day after that. With --now, as when the key
    may be in other hands, the new one signs at once, and all others are forgotten.

    \b
    Example:
      voxwatch lti rotate
    """

    now: Annotated[
        bool, typer.Option("--now", help="Forget the others at once: the key has leaked.")
    ] = False
    config: ConfigOption = None
    data_dir: DataOption = None

    def run(self) -> None:
        """Rotate, and say from when on the new key signs."""
        with _opened_keys(configured(self)) as keys:
            made = keys.rotate(time.time(), at_once=self.now)
            signs_at = next(one.signs_at for one in keys.all() if one.id == made.id)
        typer.echo(f"{made.id} signs from {when(signs_at)} on")


@contextmanager
def _opened_keys(config: Config) -> Iterator[OwnKeys]:
    from streamer.lti.book import LtiBook
    from streamer.lti.keys import OwnKeys

    with opened_records(config) as (_, _, record):
        yield OwnKeys(LtiBook(record.journal.engine, record.journal.secret))
