"""Microphone and file."""
