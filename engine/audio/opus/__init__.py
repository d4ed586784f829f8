"""Opus as it comes over a connection: pages of Ogg, or WebM, cut anywhere, into PCM."""
