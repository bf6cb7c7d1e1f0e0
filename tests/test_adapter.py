import pytest
import torch
from federations import CLASSES, DIM, TOKENS, setup_of
from torch.func import functional_call

from feda2v_cli.adapter import Adapter, initial_parameters
from feda2v_cli.engine.stack import parameters_of
from feda2v_cli.federation.local_training import adapter_loss
from feda2v_cli.federation.space import Space


@pytest.mark.parametrize("target", [(8,), (3, 8), (768,), (17, 4096), (77, 768)])
def test_an_adapter_hits_every_shape_of_target(target: tuple[int, ...]) -> None:
    assert Adapter(DIM, 16, target)(torch.randn(5, TOKENS, DIM)).shape == (5, *target)


def test_all_nodes_start_from_the_same_parameters() -> None:
    adapter = Adapter(DIM, 16, (8,))
    first, again, other = (initial_parameters(adapter, seed, "clip") for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["input.weight"], other["input.weight"])


def test_the_loss_of_an_item_is_measured_against_its_own_target() -> None:
    setup = setup_of([[0, 1, 2, 3]])
    for space in setup.spaces:
        loss = adapter_loss(space, setup.clips, 0.0)
        parameters = parameters_of(space.initial_parameters(0), space.shapes)
        items = torch.tensor([0, 7, 13, 20])
        batch = {"item": items}
        together = loss(parameters, batch | setup.clips.inputs(batch), torch.zeros(4, 0), torch.zeros(()))["loss"]
        for item, value in zip(items, together, strict=True):
            output = functional_call(space.adapter, parameters, (setup.clips.embeddings[item : item + 1],))[0]
            own = space.targets[setup.clips.labels[item]]
            assert value == pytest.approx(float((output - own).square().mean()), rel=1e-4)


def test_scaled_targets_have_mean_zero_and_deviation_one_whatever_the_text_encoder() -> None:
    values = 40 + 7 * torch.randn(len(CLASSES), 3, 5)
    space = Space.of("t5", values, DIM, 16)
    assert space.targets.mean(0).abs().max() < 1e-5
    assert space.targets.square().mean().sqrt() == pytest.approx(1.0)
    assert torch.allclose(space.targets * space.scale + space.centre, values, atol=1e-4)


def test_a_single_class_keeps_its_target() -> None:
    space = Space.of("clip", torch.randn(1, 8), DIM, 16)
    assert space.centre.abs().sum() == 0
    assert space.targets.abs().sum() > 0
