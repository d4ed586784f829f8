"""Architectures, front end, export, import, bundles to fetch."""
