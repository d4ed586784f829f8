"""This package holds the bundle and the encoder that runs it on an execution provider."""
