"""This package knows when sound came, by the clock. The times are given to it."""
