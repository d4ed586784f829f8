"""This package finds where speech is, and cuts it into spans and windows."""
