"""How the tables of records came to be what they are, a step a module."""
