"""Random streams: each model has its own, so that its result does not depend on its neighbours."""

import hashlib

import torch

#: What tells a model's stream apart, like (node, key).
Identity = tuple[int | str | None, ...]


def random_stream(seed: int, *identity: int | str | None) -> torch.Generator:
    """The random stream of a thing, on the CPU.

    The same seed and identity give the same stream in every process; different ones give independent streams.

    Args:
        seed: the run's seed.
        identity: what the stream is for, like a node, a key and a round.
    """
    digest = hashlib.sha256(repr((seed, *identity)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))
