"""This package runs the models for all streams: scheduler, overload and inference threads."""
