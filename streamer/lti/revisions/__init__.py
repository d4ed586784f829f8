"""How the tables of LTI came to be what they are, step by step."""
