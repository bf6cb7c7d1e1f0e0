import torch

from feda2v_cli.engine.random_stream import random_stream


def drawn(*identity: object) -> list[float]:
    return torch.rand(4, generator=random_stream(*identity)).tolist()  # type: ignore[arg-type]


def test_the_same_identity_gives_the_same_stream() -> None:
    assert drawn(0, 1, "dog") == drawn(0, 1, "dog")


def test_every_part_of_an_identity_counts() -> None:
    streams = [drawn(0, 1, "dog"), drawn(1, 1, "dog"), drawn(0, 2, "dog"), drawn(0, 1, "cow"), drawn(0, "1", "dog")]
    assert len({tuple(values) for values in streams}) == len(streams)
