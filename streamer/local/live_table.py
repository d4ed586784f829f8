"""What a stream says, as a table in the terminal that is kept up to date."""

from __future__ import annotations

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from engine.decisions.config import DecisionConfig
from engine.events import (
    AnyEvent,
    Change,
    Decision,
    Failure,
    Lag,
    Overlap,
    Quality,
    Score,
    Stalled,
    Summary,
    Vad,
)

REFRESH_HZ = 8
LOWEST_DBFS = -60.0
LEVEL_CELLS = 20
NEWS = 6  # lines of what happened last
WORDS = {
    "match": ("MATCH", "bold white on green"),
    "mismatch": ("MISMATCH", "bold white on red"),
    "uncertain": ("UNCERTAIN", "bold black on yellow"),
    "unknown": ("UNKNOWN VOICE", "bold white on red"),
    "insufficient": ("NOT ENOUGH SPEECH YET", "bold black on white"),
}


class LiveTable:
    """The state, the last score, the level and what happened. A context manager."""

    def __init__(self, device: str, bounds: DecisionConfig, console: Console | None = None) -> None:
        self._device, self._bounds = device, bounds
        self._console = console or Console()
        self._live = Live(console=self._console, refresh_per_second=REFRESH_HZ)
        self._decision: Decision | None = None
        self._score: Score | None = None
        self._quality: Quality | None = None
        self._speech = False
        self._news: list[str] = []
        self._lost = 0

    def __enter__(self) -> LiveTable:
        self._live.__enter__()
        self._live.update(self.render())
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def update(self, event: AnyEvent) -> None:
        """Take in an event; the table shows it within an eighth of a second."""
        match event:
            case Vad():
                self._speech = event.speech
            case Score():
                self._score = event
            case Decision():
                self._decision = event
                self._tell(event.t, f"{event.state} {event.speaker or ''}".strip())
            case Change():
                self._tell(event.t, f"another voice, since {event.at:.1f} s")
            case Overlap():
                words = "two voices at once" if event.end is None else "one voice again"
                self._tell(event.t, f"{words}, since {event.start:.1f} s")
            case Quality():
                self._quality = event
            case Stalled():
                news = "no sound comes" if event.stalled else "sound is back"
                self._tell(event.t, f"{news}: {event.gap_s:.1f} s")
            case Lag():
                self._lost += event.dropped
                self._tell(event.t, f"{event.reason}: {event.behind_s:.1f} s")
            case Failure():
                self._tell(event.t, event.message)
            case Summary():
                self._tell(event.t, f"end: {event.speech_s:.1f} s of speech heard")
        self._live.update(self.render())

    def render(self) -> Panel:
        """The table as it is now."""
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", min_width=12)
        grid.add_column(min_width=48)
        for name, value in self._rows().items():
            grid.add_row(name, value)
        return Panel(grid, title=f"voxwatch: {self._device}", subtitle="Ctrl-C ends")

    def _rows(self) -> dict[str, Text | str]:
        score, bounds = self._score, self._bounds
        rows: dict[str, Text | str] = {
            "state": self._pill(),
            "why": self._decision.advice or self._decision.reason if self._decision else "-",
            "speaker": (score.speaker if score else None) or "-",
            "evidence": "-",
            "last window": "-",
            "posterior": "-",
            "net speech": "-",
        }
        if score:
            between = f"{bounds.reject_llr:.1f} and {bounds.accept_llr:.1f}"
            if score.evidence is not None:  # decisions rest on it, and not on one window
                rows["evidence"] = f"{score.evidence:+6.1f}   (LLR; bounds {between})"
            rows["last window"] = f"{score.llr:+6.1f}   (LLR)"
            rows["posterior"] = f"{100 * score.posterior:6.1f} %"
            rows["net speech"] = f"{score.net_speech_s:6.1f} s"
        rows["level"] = self._level()
        rows["lost"] = str(self._lost)
        rows["news"] = "\n".join(self._news)
        return rows

    def _pill(self) -> Text:
        state = self._decision.state if self._decision else "insufficient"
        word, style = WORDS[state]
        return Text(f" {word} ", style=style)

    def _level(self) -> str:
        heard = "speech" if self._speech else "silence"
        quality = self._quality
        if quality is None or quality.level_dbfs is None:
            return heard
        share = (max(LOWEST_DBFS, quality.level_dbfs) - LOWEST_DBFS) / -LOWEST_DBFS
        cells = round(min(1.0, share) * LEVEL_CELLS)
        bar = "#" * cells + "." * (LEVEL_CELLS - cells)
        return " ".join([bar, f"{quality.level_dbfs:.0f} dBFS", heard, *quality.problems])

    def _tell(self, t: float, news: str) -> None:
        self._news = [*self._news, f"{t:7.1f} s  {news}"][-NEWS:]
