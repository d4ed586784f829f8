"""This package turns the speech of one stream into the embedding of any span of it."""
