"""This package decodes sound and measures it, and knows nothing of voices."""
