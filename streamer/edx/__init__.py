"""Open edX's exams: a proctoring back end for its `edx-proctoring`, by that package's REST API."""
