"""What `voxwatch tune` found, for a person to read and for the server's configuration."""

from __future__ import annotations

import math

from models.benchmark.tune import Bounded, Tuning


def as_text(tuning: Tuning) -> str:
    """What was tried, as a table: false accepts, misses and alarms with their upper ends."""
    columns = ("false accepts", "misses", "false alarms /h")
    lines = [f"{'setting':>20}" + "".join(f"{c:>22}" for c in columns) + f"{'accept p50':>12}"]
    for tried in tuning.tried:
        accept, miss = tried.decisions.false_accept, tried.decisions.miss
        cells = [
            f"{100 * one.value:.2g} % (to {100 * one.upper:.2g} %)"
            for one in (tried.false_accepts, tried.misses)
        ]
        cells.append(f"{tried.false_alarms_h.value:.2g} (to {tried.false_alarms_h.upper:.2g})")
        name = f"{100 * accept:g} / {100 * miss:g} %, {tried.decisions.false_alarms_per_hour:g}/h"
        times = f"{tried.accept_p50_s:.1f} s" if math.isfinite(tried.accept_p50_s) else "never"
        lines.append(f"{name:>20}" + "".join(f"{cell:>22}" for cell in cells) + f"{times:>12}")
    return "\n".join(lines)


def as_toml(tuning: Tuning) -> str:
    """The chosen setting for the server's configuration. Raises ``TuneError``."""
    chosen, costs = tuning.chosen(), tuning.costs
    alarms = chosen.false_alarms_h
    return (
        f"# voxwatch tune, {tuning.speakers} speakers: at most {100 * costs.false_accept:g} % false"
        f" accepts and {100 * costs.miss:g} % misses.\n"
        f"# Measured: {_found(chosen.false_accepts)}; {_found(chosen.misses)};"
        f" {alarms.events} false alarms in {alarms.exposure:.2f} h, up to {alarms.upper:.2g}/h.\n"
        f"# Half of the speakers were accepted within {chosen.accept_p50_s:.1f} s of speech.\n"
        "# It holds for voices, microphones and enrolments like those of the recordings.\n"
        f"false_accept = {chosen.decisions.false_accept:g}\n"
        f"miss = {chosen.decisions.miss:g}\n"
        f"false_alarms_per_hour = {chosen.decisions.false_alarms_per_hour:g}\n"
    )


def _found(found: Bounded) -> str:
    return f"{found.events} of {found.exposure:.0f} wrong, up to {100 * found.upper:.2g} %"
