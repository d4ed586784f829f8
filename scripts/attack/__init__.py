"""Attacks on a server, each beside one well-behaved live stream: `python -m scripts.attack`."""
