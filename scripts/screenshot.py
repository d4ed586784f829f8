"""Takes README's pictures: `python scripts/screenshot.py [--only wall]`.

Of the dashboard: runs the demonstration's server and call, opens the real page in Chromium, and
waits until the takeover has been told. Of the wall: opens it on the exam of the scripted server of
its tests, and then the candidate who was taken over beside it. Both also at 390 px and in the dark,
to look at.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from scripts.bench_wall import server as scripted
from scripts.demo_call import enrol_both, forever, server

ROOT = Path(__file__).resolve().parents[1]
SIZES = {
    "": (1440, 960, "light"),
    "-dark": (1440, 960, "dark"),
    "-phone": (390, 844, "light"),
    "-phone-dark": (390, 844, "dark"),
}
TAKEOVER_S = 60.0
EXAM = "e7a1b2c3d4e5f607"  # of tests/web/wall_scenes.py


async def opened(browser: Browser, url: str, size: str) -> Page:
    width, height, scheme = SIZES[size]
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=1 if width > 1000 else 2,
    )
    page = await context.new_page()
    await page.goto(url)
    return page


async def shoot_dashboard(browser: Browser, url: str, size: str, folder: Path) -> None:
    page = await opened(browser, f"{url}/#watch=first", size)
    await page.get_by_text("took over").first.wait_for(timeout=1000 * TAKEOVER_S)
    await asyncio.sleep(4)  # some of the other voice is on the trace
    await page.screenshot(path=folder / f"dashboard{size}.png")
    await page.context.close()


async def dashboard(browser: Browser, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as data:
        async with server(0, Path(data)) as url:
            await enrol_both(url)
            call = asyncio.create_task(forever(url))
            await asyncio.sleep(1)
            for size in SIZES:
                await shoot_dashboard(browser, url, size, folder)
            call.cancel()


async def shoot_wall(browser: Browser, url: str, size: str, folder: Path) -> None:
    page = await opened(browser, f"{url}#exam={EXAM}", size)
    tile = page.locator("#needing .open").first
    await tile.wait_for()
    await page.screenshot(path=folder / f"wall{size}.png")
    await tile.click()
    await page.get_by_text("From the record, since").wait_for()
    await page.screenshot(path=folder / f"candidate{size}.png", full_page=True)
    await page.context.close()


async def wall(browser: Browser, folder: Path) -> None:
    with scripted(30) as url:
        for size in SIZES:
            await shoot_wall(browser, url, size, folder)


async def run(pictures: list[str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for picture in pictures:
            await {"dashboard": dashboard, "wall": wall}[picture](browser, folder)
            shutil.copy(folder / f"{picture}.png", ROOT / "web" / f"{picture}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    every = ["dashboard", "wall"]
    parser.add_argument("--only", choices=every)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "screenshots")
    given = parser.parse_args()
    asyncio.run(run([given.only] if given.only else every, given.output))
