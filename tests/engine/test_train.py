from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from feda2v_cli.engine.batch import draw_epoch
from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.engine.stack import Stack
from feda2v_cli.engine.train import ModelData, Optimiser, Trainer

OPTIMISER = Optimiser(batch_size=8, learning_rate=0.01, weight_decay=0.1, clip_norm=0.5)
SIZES = (17, 24, 20, 19, 22)


class Regression(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(3, 7)
        self.output = nn.Linear(7, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.output(torch.tanh(self.hidden(inputs)))


MODULE = Regression()


def loss(
    parameters: Mapping[str, Tensor], batch: Mapping[str, Tensor], noise: Tensor, progress: Tensor
) -> dict[str, Tensor]:
    outputs = functional_call(MODULE, dict(parameters), (batch["inputs"] + 0.1 * noise,))
    error = (outputs - batch["targets"]).square().mean(-1)
    return {"loss": error * batch["weight"] * (1 + progress), "error": error}


def model(number: int) -> dict[str, Tensor]:
    random = random_stream(7, "model", number)
    return {name: torch.randn(value.shape, generator=random) for name, value in MODULE.named_parameters()}


def data(number: int) -> ModelData:
    random = random_stream(7, "data", number)
    items = {
        "inputs": torch.randn(SIZES[number], 3, generator=random),
        "targets": torch.randn(SIZES[number], 2, generator=random),
    }
    return ModelData((number, "key"), items, noise=3, constants={"weight": torch.tensor(1.0 + number)})


def trainer(numbers: list[int]) -> Trainer:
    stack = Stack.of([model(number) for number in numbers], torch.device("cpu"))
    return Trainer(stack, [data(number) for number in numbers], loss, OPTIMISER, seed=3)


def trained(numbers: list[int], rounds: int = 3) -> Stack:
    training = trainer(numbers)
    for round_number in range(1, rounds + 1):
        training.train_round(round_number, rounds, epochs=2)
    return training.stack


def trained_by_a_plain_loop(number: int, rounds: int = 3) -> dict[str, Tensor]:
    """The same training as PyTorch's users write it: one model, AdamW, clipping, batch after batch."""
    module = Regression()
    module.load_state_dict(model(number))
    optimiser = torch.optim.AdamW(module.parameters(), lr=0.01, weight_decay=0.1)
    own = data(number)
    for round_number in range(1, rounds + 1):
        random = random_stream(3, *own.identity, "round", round_number)
        for epoch in range(2):
            drawn = draw_epoch([random], [own.size], [3], steps=3)
            progress = torch.tensor(((round_number - 1) * 2 + epoch) / (2 * rounds))
            for step in range(3):
                used = drawn.mask[step, 0] == 1
                rows = drawn.index[step, 0][used]
                batch = {name: values[rows] for name, values in own.items.items()} | own.constants
                parameters = dict(module.named_parameters())
                value = loss(parameters, batch, drawn.noise[step, 0][used], progress)["loss"].mean()
                optimiser.zero_grad()
                value.backward()
                nn.utils.clip_grad_norm_(module.parameters(), 0.5)
                optimiser.step()
    return {name: value.detach() for name, value in module.named_parameters()}


def test_a_stack_trains_as_a_plain_loop_over_its_models_does() -> None:
    stack = trained([0, 1, 2, 3, 4])
    for number in range(5):
        expected = trained_by_a_plain_loop(number)
        for name, value in stack.model(number).items():
            torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("neighbours", [[], [1], [4, 2], [1, 2, 3, 4]])
def test_a_model_s_result_does_not_depend_on_its_neighbours(neighbours: list[int]) -> None:
    alone = trained([0]).model(0)
    for name, value in trained([0, *neighbours]).model(0).items():
        torch.testing.assert_close(value, alone[name], rtol=1e-5, atol=1e-6)


def test_a_model_s_result_does_not_depend_on_its_place_in_the_stack() -> None:
    first, last = trained([0, 1, 2]).model(0), trained([1, 2, 0]).model(2)
    for name, value in first.items():
        torch.testing.assert_close(value, last[name], rtol=1e-5, atol=1e-6)


def test_training_goes_on_from_a_state_to_the_same_bits() -> None:
    uninterrupted = trained([0, 1, 2])
    before = trainer([0, 1, 2])
    before.train_round(1, 3, epochs=2)
    after = trainer([0, 1, 2])
    after.stack.restore({name: value.clone() for name, value in before.stack.state().items()})
    for round_number in (2, 3):
        after.train_round(round_number, 3, epochs=2)
    assert all(torch.equal(value, after.stack.state()[name]) for name, value in uninterrupted.state().items())


def test_the_state_of_other_models_is_refused() -> None:
    with pytest.raises(ValueError, match="the state's weights are"):
        trainer([0, 1]).stack.restore(trainer([0, 1, 2]).stack.state())


def test_losses_are_reported_by_name_and_model() -> None:
    losses = trainer([0, 1]).train_round(1, 1, epochs=1)
    assert {name: value.shape for name, value in losses.items()} == {"loss": (2,), "error": (2,)}


def test_every_epoch_is_told() -> None:
    heard: list[int] = []
    trainer([0]).train_round(1, 1, epochs=3, on_epoch=heard.append)
    assert heard == [1, 2, 3]


def test_models_that_take_different_numbers_of_steps_are_refused() -> None:
    stack = Stack.of([model(0), model(0)], torch.device("cpu"))
    short = ModelData(("short",), {name: values[:4] for name, values in data(0).items.items()}, 3, data(0).constants)
    with pytest.raises(ValueError, match="steps an epoch"):
        Trainer(stack, [data(0), short], loss, OPTIMISER, seed=0)


def test_training_leaves_the_number_of_threads_as_it_was() -> None:
    before = torch.get_num_threads()
    trained([0], rounds=1)
    assert torch.get_num_threads() == before


def test_no_batch_has_items_of_two_groups_and_all_items_are_seen() -> None:
    groups = [(6, 11), (8, 9)]  # a step and two of each model, of width 8 and 6 at most
    seen: list[Tensor] = []

    def read(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        seen.append(batch["item"])
        return {}

    def of_items(
        parameters: Mapping[str, Tensor],
        batch: Mapping[str, Tensor],
        noise: Tensor,  # noqa: ARG001 - it says nothing of items
        progress: Tensor,  # noqa: ARG001
    ) -> dict[str, Tensor]:
        return {"loss": parameters["output.bias"].sum() * batch["item"]}

    stack = Stack.of([model(0), model(1)], torch.device("cpu"))
    own = [ModelData((number,), {"item": torch.arange(17)}, 1, groups=of) for number, of in enumerate(groups)]

    Trainer(stack, own, of_items, OPTIMISER, 3, read).train_round(1, 1, epochs=2)

    assert [tuple(items.shape) for items in seen] == [(2, 6), (2, 8), (2, 6)] * 2
    for number, (first, _) in enumerate(groups):
        for epoch in (seen[:3], seen[3:]):
            assert set(torch.cat([items[number] for items in epoch]).tolist()) == set(range(17))
        assert all(len({item < first for item in items[number].tolist()}) == 1 for items in seen)


def test_models_whose_groups_take_other_steps_cannot_share_a_stack() -> None:
    stack = Stack.of([model(0), model(1)], torch.device("cpu"))
    own = [replace(data(0), groups=(8, 9)), replace(data(0), groups=(9, 8))]
    with pytest.raises(ValueError, match="steps an epoch"):
        Trainer(stack, own, loss, OPTIMISER, seed=3)
