import pytest
import torch

from feda2v_cli.federation.pool import Node
from feda2v_cli.federation.strategy.averaging import FedAvg, Mean, by_class, by_clips
from feda2v_cli.federation.strategy.registry import make_strategy
from feda2v_cli.profile.schema import FederationSection

PARAMETERS = torch.tensor([[1.0, 10.0], [2.0, 20.0], [6.0, 0.0], [100.0, -50.0]])


def node(index: int, clips_of_class: dict[int, int]) -> Node:
    return Node(index, torch.arange(sum(clips_of_class.values())), clips_of_class, {})


def test_the_mean_is_weighted() -> None:
    mean = Mean()
    mean.add(PARAMETERS[:3], torch.tensor([1.0, 1.0, 2.0]))
    assert mean.result().tolist() == [3.75, 7.5]


def test_the_mean_does_not_depend_on_how_nodes_are_stacked() -> None:
    parameters, weights = torch.randn(20, 50), torch.rand(20)
    together, apart = Mean(), Mean()
    together.add(parameters, weights)
    for part in range(0, 20, 3):
        apart.add(parameters[part : part + 3], weights[part : part + 3])
    assert torch.equal(together.result(), apart.result())


def test_fedavg_counts_clips() -> None:
    assert by_clips([node(0, {0: 3}), node(1, {0: 1, 1: 4})]).tolist() == [3.0, 5.0]


@pytest.mark.parametrize("name", ["fedavg", "fedprox", "fedavgm", "fedadam", "fedyogi"])
def test_nodes_count_alike_where_the_profile_says_so(name: str) -> None:
    strategy = make_strategy(FederationSection.model_validate({"strategy": name, "weighting": "equal"}))
    assert isinstance(strategy, FedAvg)
    assert strategy.weights([node(0, {0: 3}), node(1, {0: 1, 1: 4})]).tolist() == [1.0, 1.0]


def test_holders_of_a_class_count_alike_where_the_profile_says_so() -> None:
    strategy = make_strategy(FederationSection(strategy="per_class_average", weighting="equal"))
    assert isinstance(strategy, FedAvg)
    weights = strategy.weights([node(0, {0: 30}), node(1, {0: 10, 1: 2})])
    assert weights.tolist() == pytest.approx([0.5 / 2, 1.5 / 2])


def test_per_class_average_counts_every_class_alike() -> None:
    # Class 0 is held by both, 30 to 10; class 1 by the second alone.
    weights = by_class([node(0, {0: 30}), node(1, {0: 10, 1: 2})], clips_count=True)
    assert weights.tolist() == pytest.approx([0.75 / 2, 1.25 / 2])


def test_a_node_counts_by_what_it_tells_of_its_clips_and_by_its_clips_where_it_tells_nobody() -> None:
    rounded, alone = Node(0, torch.arange(32), {0: 40}, {}), Node(1, torch.arange(3), {}, {})
    assert by_clips([rounded, alone]).tolist() == [40.0, 3.0]
