"""Federated learning between audio and images: generators of audio embeddings, checkpoints, federation."""

__version__ = "0.1.0"
