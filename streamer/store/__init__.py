"""Voiceprints at rest."""
