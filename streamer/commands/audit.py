"""`voxwatch audit`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from streamer.commands.opened import opened
from streamer.commands.options import ConfigOption, DataOption, JsonOption, configured
from streamer.commands.profiles import table, when


@dataclass(frozen=True, kw_only=True)
class AuditCommand:
    """Show who did what to whom in the store of this machine, oldest first.

    Enrolments, deletions (also by expiry), exports, backups, restores and changes of keys; of a
    voice it holds nothing. A person who is deleted is told by a number.

    \b
    Example:
      voxwatch audit --person alice
    """

    person: Annotated[str | None, typer.Option(metavar="NAME", help="Of this person only.")] = None
    config: ConfigOption = None
    data_dir: DataOption = None
    as_json: JsonOption = False

    def run(self) -> None:
        """Print a line an act."""
        with opened(configured(self)) as store:
            acts = store.acts()
        acts = [act for act in acts if self.person in (None, act.person)]
        if self.as_json:
            for act in acts:
                typer.echo(json.dumps(asdict(act), ensure_ascii=False))
            return
        rows = [(when(act.at), act.who, act.act, act.person, act.detail) for act in acts]
        typer.echo(table([("when", "who", "act", "person", "detail"), *rows]))
