"""Takes README's picture of the dashboard: `python scripts/screenshot.py`.

Runs the demonstration's server and call, opens the real page in Chromium, and waits until the
takeover has been told. Also writes the page at 390 px and in the dark after a takeover, to look at.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
from pathlib import Path

from demo_call import enrol_both, forever, server
from playwright.async_api import Browser, async_playwright

ROOT = Path(__file__).resolve().parents[1]
SIZES = {
    "dashboard": (1440, 960, "light"),
    "dark": (1440, 960, "dark"),
    "phone": (390, 844, "light"),
}
TAKEOVER_S = 60.0


async def shoot(browser: Browser, url: str, name: str, folder: Path) -> None:
    width, height, scheme = SIZES[name]
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=1 if width > 1000 else 2,
    )
    page = await context.new_page()
    await page.goto(f"{url}/#watch=first")
    await page.get_by_text("took over").first.wait_for(timeout=1000 * TAKEOVER_S)
    await asyncio.sleep(4)  # some of the other voice is on the trace
    await page.screenshot(path=folder / f"{name}.png")
    await context.close()


async def run(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        await visit(folder, Path(data))


async def visit(folder: Path, data: Path) -> None:
    async with server(0, data) as url:
        await enrol_both(url)
        call = asyncio.create_task(forever(url))
        await asyncio.sleep(1)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            for name in SIZES:
                await shoot(browser, url, name, folder)
            await browser.close()
        call.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "screenshots")
    folder = parser.parse_args().output
    asyncio.run(run(folder))
    shutil.copy(folder / "dashboard.png", ROOT / "web" / "dashboard.png")
