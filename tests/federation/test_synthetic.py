import errno
import os
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from federations import CLASSES, maker_of

from feda2v_cli.embedding.stored import StoredEmbeddings
from feda2v_cli.errors import FailedError
from feda2v_cli.federation import synthetic
from feda2v_cli.federation.synthetic import Deal, NodeGenerator, deal_samples, draw_samples

DISJOINT = [maker_of(0, [0, 1]), maker_of(1, [2, 3])]
SHARED = [maker_of(0, [0, 1]), maker_of(1, [1, 2]), maker_of(2, [1, 3])]
#: The same, with tokens of their own.
MIXED = [maker_of(0, [0, 1], 5), maker_of(1, [1, 2], 1), maker_of(2, [1, 3], 5)]


def drawn(
    generators: list[NodeGenerator], per_class: int, seed: int = 0, round_number: int = 0, file: Path | None = None
) -> tuple[Deal, tuple[StoredEmbeddings, ...]]:
    deal = deal_samples(generators, CLASSES, per_class, seed, round_number)
    return deal, draw_samples(generators, CLASSES, deal, seed, round_number, file)


@pytest.mark.parametrize("generators", [DISJOINT, SHARED, MIXED])
@pytest.mark.parametrize("per_class", [1, 5, 12])
def test_a_node_gets_samples_of_others_alone_the_same_number_of_each_class(generators: list, per_class: int) -> None:
    samples = deal_samples(generators, CLASSES, per_class, 0, 0)
    for node in {source.node for source in generators}:
        places = samples.for_node(node, per_class)
        assert node not in samples.nodes[places].tolist()
        made_by_others = {name for source in generators if source.node != node for name in source.generator.classes}
        counts = Counter(CLASSES[label] for label in samples.labels[places].tolist())
        assert counts == dict.fromkeys(made_by_others, per_class)


def test_the_server_gets_samples_of_every_class() -> None:
    samples = deal_samples(SHARED, CLASSES, 4, 0, 0)
    assert Counter(samples.labels[samples.for_node(None, 4)].tolist()) == dict.fromkeys(range(4), 4)


@pytest.mark.parametrize("held", [[], [1], [0, 2, 3]])
def test_where_generators_stand_for_classes_a_node_gets_those_that_it_does_not_hold(held: list[int]) -> None:
    samples = deal_samples(SHARED, CLASSES, 4, 0, 0)
    places = samples.without_classes(held, 4)
    assert Counter(samples.labels[places].tolist()) == dict.fromkeys(sorted({0, 1, 2, 3} - set(held)), 4)


def test_samples_are_those_of_their_label() -> None:
    deal, (samples,) = drawn(DISJOINT, 40)
    for label in range(4):
        mean = samples.read()[deal.labels == label].mean(0)
        distances = [float((mean - clips).norm()) for clips in _means()]
        assert distances.index(min(distances)) == label


def test_samples_depend_on_seed_and_round_alone() -> None:
    (_, (first,)), (_, (again,)) = drawn(SHARED, 3, 0, 1), drawn(SHARED, 3, 0, 1)
    assert torch.equal(first.read(), again.read())
    for seed, round_number in ((1, 1), (0, 2)):
        _, (other,) = drawn(SHARED, 3, seed, round_number)
        assert not torch.equal(first.read(), other.read())


@pytest.mark.parametrize("generators", [SHARED, MIXED])
def test_samples_that_are_too_large_for_memory_are_the_same_in_a_file(
    generators: list[NodeGenerator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, held = drawn(generators, 3, 0, 1)
    monkeypatch.setattr(synthetic, "HELD_BYTES", 0)
    file = tmp_path / "samples.bin"

    _, filed = drawn(generators, 3, 0, 1, file)

    assert all(torch.equal(one.read(), other.read()) for one, other in zip(filed, held, strict=True))
    assert all(isinstance(part._values, np.memmap) for part in filed)


@pytest.mark.parametrize("has_room", [True, False])
def test_no_file_of_samples_is_left_whatever_ends_a_run(
    has_room: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthetic, "HELD_BYTES", 0)
    if not has_room:

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with nullcontext() if has_room else pytest.raises(FailedError, match="No space left"):
        drawn(SHARED, 3, 0, 1, tmp_path / "samples.bin")
    assert list(tmp_path.iterdir()) == []


def test_samples_do_not_grow_with_the_number_of_nodes_that_could_make_them() -> None:
    generators = [maker_of(node, [0]) for node in range(60)]
    samples = deal_samples(generators, CLASSES, 5, 0, 0)
    assert len(samples.labels) == 6
    assert all(len(samples.for_node(node, 5)) == 5 for node in range(60))


def test_samples_have_as_many_tokens_as_their_generators_make_and_nodes_get_them_of_the_same_makers() -> None:
    alike, _ = drawn(SHARED, 3)
    deal, parts = drawn(MIXED, 3)

    assert [part.shape[1] for part in parts] == [1, 5]
    assert torch.cat([torch.full((len(part),), part.shape[1]) for part in parts]).equal(deal.tokens)
    assert deal.tokens.tolist() == [MIXED[maker].generator.shape[0] for maker in deal.makers.tolist()]
    for node in (None, 0, 1, 2):
        of_alike, own = alike.for_node(node, 3), deal.for_node(node, 3)
        assert alike.makers[of_alike].equal(deal.makers[own])
        assert alike.labels[of_alike].equal(deal.labels[own])


def _means() -> list[torch.Tensor]:
    return [
        source.generator.sample([CLASSES[label]] * 200, 3).mean(0)
        for label in range(4)
        for source in DISJOINT
        if CLASSES[label] in source.generator.classes
    ]
