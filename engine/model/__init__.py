"""The bundle and the encoder that runs it, with its execution providers."""
