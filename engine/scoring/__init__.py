"""Embeddings to calibrated scores; whom a voice is like."""
