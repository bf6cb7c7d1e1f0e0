"""Trains many small models of one architecture at once. Knows nothing of audio or of federation."""
