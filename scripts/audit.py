"""Known weaknesses of the locked dependencies: see `scripts/audit`.

A tool that finds a package unknown to the advisory service, or that fails, has audited nothing:
both pip-audit and npm then still speak of zero weaknesses.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCKS = ("serve", "develop", "tools")
PIP_AUDIT = ".venv-tools/bin/pip-audit --require-hashes --disable-pip --format json"
NPM_AUDIT = "npm audit --json --prefix"
NPM_FOLDERS = ("web", "clients/js")
LIMIT_S = 600
CLEAN, KNOWN, NOT_AUDITED = 0, 1, 3


@dataclass(frozen=True)
class Finding:
    """What one tool said of one lock file."""

    audited: int = 0  # packages
    weaknesses: tuple[str, ...] = ()
    why_not: str = ""  # audited, at least in part

    @property
    def status(self) -> int:
        """As the program's exit status."""
        if self.weaknesses:
            return KNOWN
        return NOT_AUDITED if self.why_not or not self.audited else CLEAN


def of_pip(stdout: str, stderr: str) -> Finding:
    """What `pip-audit --format json` said."""
    try:
        dependencies: list[dict[str, Any]] = json.loads(stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Finding(why_not=_last_line(stderr) or "pip-audit gave no report")
    skipped = [one["skip_reason"] for one in dependencies if "skip_reason" in one]
    found = [
        f"{one['name']} {one['version']}: {weakness['id']}"
        for one in dependencies
        for weakness in one.get("vulns", ())
    ]
    why_not = f"{len(skipped)} packages: {skipped[0]}" if skipped else ""
    return Finding(len(dependencies) - len(skipped), tuple(found), why_not)


def of_npm(stdout: str, stderr: str) -> Finding:
    """What `npm audit --json` said."""
    report: Any = None
    try:
        report = json.loads(stdout)
        audited: int = report["metadata"]["dependencies"]["total"]
        found = report["vulnerabilities"]
    except (ValueError, KeyError, TypeError):
        said = report.get("message") if isinstance(report, dict) else None
        return Finding(why_not=said or _last_line(stderr) or "npm audit gave no report")
    return Finding(audited, tuple(f"{name}: {one['severity']}" for name, one in found.items()))


def told(name: str, finding: Finding) -> str:
    """A line or more for people."""
    if finding.status == NOT_AUDITED:
        return f"{name}: not audited: {finding.why_not or 'nothing was looked at'}"
    lines = [f"{name}: {len(finding.weaknesses)} known in {finding.audited} packages audited"]
    if finding.why_not:
        lines.append(f"  not audited: {finding.why_not}")
    return "\n".join([*lines, *(f"  {one}" for one in finding.weaknesses)])


def main() -> int:
    """Audit every lock file and say what was found; the exit status."""
    findings = {}
    for lock in LOCKS:
        path = f"requirements/{lock}.txt"
        findings[path] = of_pip(*_run([*PIP_AUDIT.split(), "--requirement", path]))
    for folder in NPM_FOLDERS:
        findings[f"{folder}/package-lock.json"] = of_npm(*_run([*NPM_AUDIT.split(), folder]))
    for name, finding in findings.items():
        print(told(name, finding))
    statuses = {finding.status for finding in findings.values()}
    return KNOWN if KNOWN in statuses else max(statuses)


def _run(command: list[str]) -> tuple[str, str]:
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", str(error)
    return done.stdout, done.stderr


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


if __name__ == "__main__":
    sys.exit(main())
