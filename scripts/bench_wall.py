"""How soon the wall shows what there is: `python scripts/bench_wall.py --json FILE`.

A scripted server (tests/web/wall_server.py) tells of an exam, and Chromium opens the built page.
Measured in the page: from the start of its loading to the frame after all tiles are there and who
needs attention stands first, each time in a new browser context without a cache; from the moment
that the server sends an incident to the frame after its tile stands there, by the clock of the
machine that both run on; and how much of the time the page's thread works, while the server tells
two events a second of each candidate.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from playwright.async_api import Browser, Page, async_playwright

from scripts.figures import tell

ROOT = Path(__file__).resolve().parents[1]
SIZES = {"1440x900": (1440, 900), "390x844": (390, 844)}
PAUSE_S = 0.5  # between two incidents
WORK_S = 10.0

# Resolves with the time of the frame after all tiles are there, in ms since the page was asked for.
FIRST_SCREEN = """many => new Promise(resolve => {
    const there = () => {
        const all = document.querySelectorAll(".tile").length >= many;
        if (!all || !document.querySelector("#needing .tile")) return requestAnimationFrame(there);
        requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now())));
    };
    there();
})"""
# Lets an incident happen, and resolves with the ms from its sending to the frame after it stands.
INCIDENT = """place => new Promise(resolve => {
    const socket = new WebSocket(new URL("v1/control", location.href.replace("http", "ws")));
    const before = new Set(document.querySelectorAll("#needing .tile"));
    let shown = 0, sent = 0;
    const done = () => { if (shown && sent) resolve(shown - 1000 * sent); };
    new MutationObserver((_, observer) => {
        const tiles = [...document.querySelectorAll("#needing .tile")];
        if (tiles.every(tile => before.has(tile))) return;
        observer.disconnect();
        requestAnimationFrame(() => requestAnimationFrame(() => {
            shown = performance.timeOrigin + performance.now();
            done();
        }));
    }).observe(document.querySelector("#needing"), {childList: true});
    socket.onopen = () => socket.send(JSON.stringify(
        {id: 1, type: "mock", do: "incident", place, what: "takeover"}));
    socket.onmessage = ({data}) => {
        sent = JSON.parse(data).result.since_at;
        socket.close();
        done();
    };
})"""


@contextmanager
def server(many: int) -> Iterator[str]:
    """The address of a scripted server that is as busy as with so many candidates."""
    script = ROOT / "tests" / "web" / "wall_server.py"
    command = [sys.executable, str(script), "0", str(ROOT / "web" / "dist")]
    command += ["--candidates", str(many), "--rate", str(2 * many)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/monitor"
        finally:
            process.terminate()


async def opened(browser: Browser, url: str, size: tuple[int, int]) -> Page:
    context = await browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = await context.new_page()
    await page.goto(url, wait_until="commit")
    return page


async def first_screens(browser: Browser, url: str, given: argparse.Namespace) -> dict[str, Any]:
    found = {}
    for name, size in SIZES.items():
        times = []
        for _ in range(given.rounds):
            page = await opened(browser, url, size)
            times.append(await page.evaluate(FIRST_SCREEN, given.present))
            await page.context.close()
        found[name] = spread(times)
    return found


async def incidents(browser: Browser, url: str, given: argparse.Namespace) -> dict[str, float]:
    page = await opened(browser, url, SIZES["1440x900"])
    await page.evaluate(FIRST_SCREEN, given.present)
    times = []
    for place in range(40, 40 + given.rounds):  # to whom nothing has happened yet
        times.append(await page.evaluate(INCIDENT, place))
        await asyncio.sleep(PAUSE_S)
    await page.context.close()
    return spread(times)


async def work(browser: Browser, url: str, given: argparse.Namespace) -> float:
    """Share of the time that the page's thread works while nothing but the usual is told."""
    page = await opened(browser, url, SIZES["1440x900"])
    await page.evaluate(FIRST_SCREEN, given.present)
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")
    taken = []
    for wait_s in (WORK_S, 0.0):
        metrics = (await session.send("Performance.getMetrics"))["metrics"]
        taken.append({one["name"]: one["value"] for one in metrics})
        await asyncio.sleep(wait_s)
    await page.context.close()
    first, last = taken
    spent_s, all_s = (last[name] - first[name] for name in ("TaskDuration", "Timestamp"))
    return float(round(spent_s / all_s, 3))


def spread(times_ms: list[float]) -> dict[str, float]:
    return {
        "median_ms": round(statistics.median(times_ms), 1),
        "worst_ms": round(max(times_ms), 1),
        "rounds": len(times_ms),
    }


async def run(given: argparse.Namespace) -> dict[str, Any]:
    with server(given.candidates) as url:
        async with async_playwright() as playwright:
            chromium = shutil.which("chromium")
            browser = await playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox"]
            )
            return {
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": platform.platform(),
                "browser": f"chromium {browser.version}",
                "candidates": given.candidates,
                "events_a_second": 2 * given.candidates,
                "first_screen": await first_screens(browser, url, given),
                "incident_to_screen": await incidents(browser, url, given),
                "share_of_a_core": await work(browser, url, given),
            }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    given.present = given.candidates - 2  # two of the roster have not come, and have no stream
    tell(asyncio.run(run(given)), given.json)
