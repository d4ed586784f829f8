"""How the tables of Open edX's exams came to be what they are, step by step."""
