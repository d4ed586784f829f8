"""The one async service: streams, scheduler, overload, inference threads."""
