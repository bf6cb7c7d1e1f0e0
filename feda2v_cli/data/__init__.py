"""Clips and the nodes that hold them: the ESC-50 layout, the built-in sounds, decoding. Never imports torch."""
