"""Errors of fitting what turns scores into likelihood ratios."""

from __future__ import annotations

from engine.errors import VoxwatchError


class CalibrationError(VoxwatchError):
    """Data that a calibration cannot be fitted on."""
