"""The streaming benchmark: generated conversations, systems that hear them, and figures."""
