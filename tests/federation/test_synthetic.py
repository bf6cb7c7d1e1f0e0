from collections import Counter
from pathlib import Path

import pytest
import torch
from federations import CLASSES, maker_of

from feda2v_cli.federation import synthetic
from feda2v_cli.federation.synthetic import draw_samples

DISJOINT = [maker_of(0, [0, 1]), maker_of(1, [2, 3])]
SHARED = [maker_of(0, [0, 1]), maker_of(1, [1, 2]), maker_of(2, [1, 3])]


@pytest.mark.parametrize("generators", [DISJOINT, SHARED])
@pytest.mark.parametrize("per_class", [1, 5, 12])
def test_a_node_gets_samples_of_others_alone_the_same_number_of_each_class(generators: list, per_class: int) -> None:
    samples = draw_samples(generators, CLASSES, per_class, 0, 0)
    for node in {source.node for source in generators}:
        places = samples.for_node(node, per_class)
        assert node not in samples.nodes[places].tolist()
        made_by_others = {name for source in generators if source.node != node for name in source.generator.classes}
        counts = Counter(CLASSES[label] for label in samples.labels[places].tolist())
        assert counts == dict.fromkeys(made_by_others, per_class)


def test_the_server_gets_samples_of_every_class() -> None:
    samples = draw_samples(SHARED, CLASSES, 4, 0, 0)
    assert Counter(samples.labels[samples.for_node(None, 4)].tolist()) == dict.fromkeys(range(4), 4)


@pytest.mark.parametrize("held", [[], [1], [0, 2, 3]])
def test_where_generators_stand_for_classes_a_node_gets_those_that_it_does_not_hold(held: list[int]) -> None:
    samples = draw_samples(SHARED, CLASSES, 4, 0, 0)
    places = samples.without_classes(held, 4)
    assert Counter(samples.labels[places].tolist()) == dict.fromkeys(sorted({0, 1, 2, 3} - set(held)), 4)


def test_samples_are_those_of_their_label() -> None:
    samples = draw_samples(DISJOINT, CLASSES, 40, 0, 0)
    for label in range(4):
        mean = samples.embeddings.read()[samples.labels == label].mean(0)
        distances = [float((mean - clips).norm()) for clips in _means()]
        assert distances.index(min(distances)) == label


def test_samples_depend_on_seed_and_round_alone() -> None:
    first, again = draw_samples(SHARED, CLASSES, 3, 0, 1), draw_samples(SHARED, CLASSES, 3, 0, 1)
    assert torch.equal(first.embeddings.read(), again.embeddings.read())
    for seed, round_number in ((1, 1), (0, 2)):
        other = draw_samples(SHARED, CLASSES, 3, seed, round_number)
        assert not torch.equal(first.embeddings.read(), other.embeddings.read())


def test_samples_that_are_too_large_for_memory_are_the_same_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = draw_samples(SHARED, CLASSES, 3, 0, 1)
    monkeypatch.setattr(synthetic, "HELD_BYTES", 0)
    file = tmp_path / "samples.bin"

    filed = draw_samples(SHARED, CLASSES, 3, 0, 1, file)

    assert torch.equal(filed.embeddings.read(), held.embeddings.read())
    assert file.stat().st_size == held.embeddings.bytes


def test_samples_do_not_grow_with_the_number_of_nodes_that_could_make_them() -> None:
    generators = [maker_of(node, [0]) for node in range(60)]
    samples = draw_samples(generators, CLASSES, 5, 0, 0)
    assert len(samples.labels) == 6
    assert all(len(samples.for_node(node, 5)) == 5 for node in range(60))


def _means() -> list[torch.Tensor]:
    return [
        source.generator.sample([CLASSES[label]] * 200, 3).mean(0)
        for label in range(4)
        for source in DISJOINT
        if CLASSES[label] in source.generator.classes
    ]
