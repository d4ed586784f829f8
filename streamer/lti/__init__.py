"""Exams of platforms that speak LTI 1.3 with the 1EdTech Proctoring Services, version 1.0."""
