"""This package makes several processes serve one port; with one worker none of it does anything."""
