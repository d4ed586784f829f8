"""Measurements of the engine and of a server."""
