"""Bytes, files and levels: nothing about voices."""
