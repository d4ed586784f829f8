"""Changes of the tables of voiceprints, oldest first."""
