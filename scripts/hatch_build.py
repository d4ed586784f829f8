"""Puts the built dashboard into the wheel, as `streamer/dashboard`; without one there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Dashboard(BuildHookInterface):
    """Runs while a wheel is built; an editable installation finds `web/dist` by itself."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        built = Path(self.root) / "web" / "dist"
        if version != "editable" and built.is_dir():
            build_data["force_include"][str(built)] = "streamer/dashboard"
