"""Incidents of a stream: spans with a reason, from what its record says of it."""
