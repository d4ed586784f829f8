"""Exams: who sits them, under which rules, with whose consent, and by which link they come in."""
