"""This package says how much of the server each client may take, and who waits for whom."""
