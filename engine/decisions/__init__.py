"""Scores over time: states, changes, voices of a session."""
