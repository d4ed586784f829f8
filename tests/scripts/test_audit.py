"""An audit never says that nothing is known where nobody answered."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

AUDIT = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "scripts/audit.py")))


def pip_report(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": list(dependencies), "fixes": []})


GOOD = {"name": "h11", "version": "0.16.0", "vulns": []}
BAD = {"name": "old", "version": "1.0", "vulns": [{"id": "PYSEC-1"}, {"id": "CVE-2"}]}
SKIPPED = {"name": "new", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("stdout", "status", "line"),
    [
        (pip_report(GOOD), 0, "0 known in 1 packages audited"),
        (pip_report(GOOD, BAD), 1, "2 known in 2 packages audited"),
        (pip_report(GOOD, SKIPPED), 3, "not audited: 1 packages: Dependency not found on PyPI"),
        (pip_report(BAD, SKIPPED), 1, "2 known in 1 packages audited"),
        (pip_report(), 3, "not audited: nothing was looked at"),
        ("", 3, "not audited: no route to the service"),
        ("[]", 3, "not audited: no route to the service"),
    ],
)
def test_what_pip_audit_says(stdout: str, status: int, line: str) -> None:
    finding = AUDIT.of_pip(stdout, "a warning\nno route to the service\n")
    assert finding.status == status
    assert AUDIT.told("lock", finding).splitlines()[0] == f"lock: {line}"


@pytest.mark.parametrize(
    ("report", "status"),
    [
        ({"vulnerabilities": {}, "metadata": {"dependencies": {"total": 90}}}, 0),
        ({"vulnerabilities": {}, "metadata": {"dependencies": {"total": 0}}}, 3),
        (
            {
                "vulnerabilities": {"vite": {"severity": "high"}},
                "metadata": {"dependencies": {"total": 90}},
            },
            1,
        ),
        ({"error": {"code": "ENOAUDIT", "summary": "audit endpoint returned an error"}}, 3),
        ({"message": "request to the registry failed"}, 3),
    ],
)
def test_what_npm_says(report: dict[str, Any], status: int) -> None:
    finding = AUDIT.of_npm(json.dumps(report), "npm error audit endpoint returned an error")
    assert finding.status == status
    assert ("not audited" in AUDIT.told("lock", finding)) == (status == 3)


def test_a_tool_that_is_not_there_has_audited_nothing() -> None:
    assert AUDIT.of_pip(*AUDIT._run(["/nowhere/pip-audit"])).status == 3
