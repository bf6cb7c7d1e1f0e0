"""Stacks that are wide enough for a thread a core."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from feda2v_cli.engine.of_thread import OfThread
from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.engine.stack import Stack
from feda2v_cli.engine.train import WEIGHTS_OF_PART, ModelData, Optimiser, Trainer
from feda2v_cli.threads import threads_per_operation

MODELS = 7
MODULES = OfThread(nn.Sequential(nn.Linear(4, 30_000), nn.Tanh(), nn.Linear(30_000, 1)))


def loss(
    parameters: Mapping[str, Tensor],
    batch: Mapping[str, Tensor],
    noise: Tensor,
    progress: Tensor,  # noqa: ARG001
) -> dict[str, Tensor]:
    output = functional_call(MODULES.own, dict(parameters), (batch["inputs"] + noise,))
    return {"loss": output.square().squeeze(1)}


def trainer(threads: int) -> Trainer:
    shapes = dict(MODULES.own.named_parameters())
    models = [
        {name: 0.1 * torch.randn(value.shape, generator=random_stream(1, number)) for name, value in shapes.items()}
        for number in range(MODELS)
    ]
    data = [
        ModelData((number, "key"), {"inputs": torch.randn(9 + number, 4, generator=random_stream(2, number))}, noise=4)
        for number in range(MODELS)
    ]
    with threads_per_operation(threads):
        return Trainer(Stack.of(models, torch.device("cpu")), data, loss, Optimiser(8, 0.01, 0.1, 0.5), seed=3)


def trained(threads: int) -> tuple[Stack, dict[str, Tensor]]:
    training = trainer(threads)
    for round_number in (1, 2):
        losses = training.train_round(round_number, 2, epochs=2)
    return training.stack, losses


def test_a_wide_stack_has_the_same_bits_on_any_number_of_cores() -> None:
    alone, losses = trained(1)
    assert alone.weights.numel() >= 2 * WEIGHTS_OF_PART
    for threads in (2, 3):
        together, found = trained(threads)
        assert all(torch.equal(alone.state()[name], value) for name, value in together.state().items())
        assert torch.equal(losses["loss"], found["loss"])


def test_parts_go_on_where_a_stack_was() -> None:
    whole = trainer(1)
    for round_number in (1, 2):
        whole.train_round(round_number, 2, epochs=1)
    first, second = trainer(2), trainer(2)
    first.train_round(1, 2, epochs=1)
    second.stack.restore(first.stack.state())
    second.train_round(2, 2, epochs=1)
    assert torch.equal(whole.stack.weights, second.stack.weights)
    assert whole.stack.steps == second.stack.steps


def test_an_interruption_ends_all_parts() -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    training = trainer(2)
    with pytest.raises(KeyboardInterrupt):
        training.train_round(1, 1, epochs=100_000, on_epoch=interrupt)
