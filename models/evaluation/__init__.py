"""Trials, metrics, reports, verify."""
