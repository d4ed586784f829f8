"""Sound that libsndfile does not read, or reads badly, by PyAV: the extra ``media``."""
