"""How the tables of exams came to be what they are, step by step."""
