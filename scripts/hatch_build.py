"""What hatchling does before it builds: fetch the speech detector, take the built dashboard in.

The detector goes into the source tree, where wheels, editable installations and source
archives all find it. The dashboard goes into the wheel as `streamer/dashboard`; an editable
installation finds `web/dist` by itself, and where none was built there is none.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Build(BuildHookInterface[Any]):
    """Runs before a wheel, an editable one included, and before a source archive."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        runpy.run_path(str(root / "scripts" / "fetch_detector.py"))["fetch_detector"](root)
        built = root / "web" / "dist"
        if self.target_name == "wheel" and version != "editable" and built.is_dir():
            build_data["force_include"][str(built)] = "streamer/dashboard"
