"""Conditions, augmentation, corpora."""
