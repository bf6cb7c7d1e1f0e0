"""The training loop: every step moves every model of a stack."""

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap
from torch.nn.utils.rnn import pad_sequence
from torch.optim.adamw import adamw

from feda2v_cli.engine.batch import draw_epoch, in_turn, steps_per_epoch
from feda2v_cli.engine.memory import keep_freed_memory
from feda2v_cli.engine.random_stream import Identity, random_stream
from feda2v_cli.engine.stack import Stack, parameters_of
from feda2v_cli.threads import small_operations, threads_of_large_operations, threads_per_operation

Tensors = Mapping[str, Tensor]

#: A model whose largest tensor is smaller than this gains nothing from several threads an operation: on 2 free cores
#: they save a tenth of the time, on busy ones they cost ten times as much.
WEIGHTS_WORTH_THREADS = 1_000_000

#: Weights of a part of a stack, at least, for which a thread of its own is worth it; of less, a step is mostly Python,
#: of which one thread runs at a time.
WEIGHTS_OF_PART = 500_000

#: (parameters of one model, its batch {name: [batch, …]} and constants {name: […]}, noise [batch, noise], progress [])
#: -> losses, each [batch], or [] for the whole batch. The batch's "mask" is 1 for items that count, [batch]. The loss
#: named "loss" is what training makes small; the others are reported beside it.
Loss = Callable[[Tensors, Tensors, Tensor, Tensor], dict[str, Tensor]]
#: A batch {name: [models, batch, …]} -> what else it needs, likewise.
Read = Callable[[Tensors], dict[str, Tensor]]


@dataclass(frozen=True)
class Optimiser:
    """AdamW with gradients clipped per model (Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019).

    Of parameters θ, of whose loss ∇ is the gradient, a step t is (their algorithm 2, with β₁ = 0.9 and β₂ = 0.999):

        g = ∇ min(1, clip_norm / ‖∇‖)                           (Pascanu, Mikolov and Bengio, 2013, algorithm 1)
        m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
        θ ← θ − η (m / (1 − β₁ᵗ) / ((v / (1 − β₂ᵗ))^½ + ε) + λ θ)

    Attributes:
        batch_size: items of a model in a step.
        learning_rate: η of AdamW.
        weight_decay: λ of AdamW, decoupled from the gradient.
        clip_norm: largest norm of a model's whole gradient.
        most_steps: of an epoch; where there would be more of them, batches are larger. None for any number.
    """

    batch_size: int
    learning_rate: float
    weight_decay: float
    clip_norm: float
    most_steps: int | None = None

    def steps_per_epoch(self, items: int) -> int:
        """Steps that a model with so many items takes."""
        return steps_per_epoch(items, self.batch_size, self.most_steps)


@dataclass(frozen=True)
class ModelData:
    """One model's data set.

    Attributes:
        identity: what tells its random stream apart.
        items: by name, [items, …].
        noise: normal numbers that its loss needs an item.
        constants: what its loss has to know beside the items, by name; of one shape in all models.
        groups: how many items each group has, in the items' order; no batch has items of two. None for one group.
    """

    identity: Identity
    items: Tensors
    noise: int = 0
    constants: Tensors = field(default_factory=dict)
    groups: tuple[int, ...] | None = None

    @property
    def size(self) -> int:
        """How many items there are."""
        return next(iter(self.items.values())).shape[0]

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many items each group has."""
        return (self.size,) if self.groups is None else self.groups


class Trainer:
    """Trains the models of a stack round by round.

    All models must take the same number of steps an epoch, with each group of their items (see `memory.stacks`).

    Args:
        stack: the models.
        data: one data set a model, in the stack's order.
        loss: written for one model; it is mapped over the stack.
        optimiser: what a step does.
        seed: the run's seed.
        read: more of a batch [models, batch, …], by name, that its items only refer to; None for nothing more.

    Raises:
        ValueError: the numbers of models differ, or those of steps.
    """

    def __init__(
        self,
        stack: Stack,
        data: Sequence[ModelData],
        loss: Loss,
        optimiser: Optimiser,
        seed: int,
        read: Read | None = None,
    ) -> None:
        steps = {tuple(map(optimiser.steps_per_epoch, model.sizes)) for model in data}
        if len(data) != stack.models or len(steps) != 1:
            raise ValueError(f"{stack.models} models, {len(data)} data sets, steps an epoch: {sorted(steps)}")
        keep_freed_memory()
        self.stack = stack
        self._data = data
        self._optimiser = optimiser
        self._seed = seed
        self._read = read
        self._steps = steps.pop()
        self._largest = tuple(map(max, zip(*(model.sizes for model in data), strict=True)))
        largest = max(math.prod(shape) for shape in stack.shapes.values())
        small = largest < WEIGHTS_WORTH_THREADS
        self._threads = 1 if small else threads_of_large_operations()
        self._parts = self._divided(loss) if small and stack.device.type == "cpu" else []
        data = [] if self._parts else data  # the parts hold it
        self._items = {
            name: _padded([model.items[name] for model in data], stack.device)
            for name in (data[0].items if data else ())
        }
        self._constants = {
            name: torch.stack([model.constants[name] for model in data]).to(stack.device)
            for name in (data[0].constants if data else ())
        }
        self._rows = torch.arange(stack.models, device=stack.device).unsqueeze(1)

        def mean_loss(row: Tensor, batch: Tensors, mask: Tensor, noise: Tensor, progress: Tensor) -> dict[str, Tensor]:
            losses = loss(parameters_of(row, stack.shapes), {**batch, "mask": mask}, noise, progress)
            # The mean over the items that count: Σ mask · loss / Σ mask.
            return {name: (value * mask).sum() / mask.sum() for name, value in losses.items()}

        self._losses = vmap(mean_loss, in_dims=(0, 0, 0, 0, None))

    def train_round(
        self,
        round_number: int,
        rounds: int,
        epochs: int,
        on_epoch: Callable[[int], None] | None = None,
    ) -> dict[str, Tensor]:
        """Train every model for one round.

        Args:
            round_number: from 1; part of the random streams.
            rounds: of the whole training; the loss is told how far it has come.
            epochs: of this round.
            on_epoch: called after every epoch with its number, from 1.

        Returns:
            Mean losses of the last epoch by name, each [models], on the CPU.
        """
        with threads_per_operation(self._threads):
            if self._parts:
                losses = self._train_parts(round_number, rounds, epochs, on_epoch)
            else:
                losses = self._train_rows(round_number, rounds, epochs, on_epoch)
        return {name: value.cpu() for name, value in losses.items()}

    def _divided(self, loss: Loss) -> list["Trainer"]:
        """Trainers of parts of the stack, one a core; empty where that is not worth it.

        A model's result does not depend on its neighbours, so that it does not depend on the parts.
        """
        stack = self.stack
        count = min(threads_of_large_operations(), stack.models, stack.weights.numel() // WEIGHTS_OF_PART)
        if count < 2:
            return []
        bounds = [stack.models * part // count for part in range(count + 1)]
        with small_operations(large=1):  # so that no part is divided again
            parts = [
                Trainer(
                    stack.part(slice(start, end)), self._data[start:end], loss, self._optimiser, self._seed, self._read
                )
                for start, end in pairwise(bounds)
            ]
        for part in parts:
            part._largest = self._largest  # batches of the same shape round in the same way
        return parts

    def _train_parts(
        self, round_number: int, rounds: int, epochs: int, on_epoch: Callable[[int], None] | None
    ) -> dict[str, Tensor]:
        """Train the parts side by side: no operation waits for another core, as the threads of one operation do."""
        stop = threading.Event()
        first, *others = self._parts
        for part in self._parts:
            part.stack.steps.copy_(self.stack.steps)
        with ThreadPoolExecutor(len(others), thread_name_prefix="train") as pool:
            given = (round_number, rounds, epochs, None, stop)
            futures = [pool.submit(part._train_alone, *given) for part in others]
            try:
                trained = [first._train_rows(round_number, rounds, epochs, on_epoch, stop)]
                trained += [future.result() for future in futures]
            except BaseException:
                stop.set()  # Ctrl-C, or what went wrong, ends all parts at their next step
                raise
        self.stack.steps.copy_(first.stack.steps)
        return {name: torch.cat([losses[name] for losses in trained]) for name in trained[0]}

    def _train_alone(self, *given: Any) -> dict[str, Tensor]:
        torch.set_num_threads(1)  # of this thread
        return self._train_rows(*given)

    def _train_rows(
        self,
        round_number: int,
        rounds: int,
        epochs: int,
        on_epoch: Callable[[int], None] | None,
        stop: threading.Event | None = None,
    ) -> dict[str, Tensor]:
        streams = [random_stream(self._seed, *model.identity, "round", round_number) for model in self._data]
        losses: dict[str, Tensor] = {}
        for epoch in range(1, epochs + 1):
            passed = (round_number - 1) * epochs + epoch - 1
            progress = torch.tensor(passed / (rounds * epochs), device=self.stack.device)
            losses = self._train_epoch(streams, progress, stop)
            if on_epoch is not None:
                on_epoch(epoch)
        return losses

    def _train_epoch(
        self, streams: Sequence[torch.Generator], progress: Tensor, stop: threading.Event | None
    ) -> dict[str, Tensor]:
        """Mean losses by name, each [models]; they stay on the device, so that nothing waits for them."""
        drawn = []
        first = torch.zeros(self.stack.models, 1, dtype=torch.long)  # item of each model's group
        for group, (steps, largest) in enumerate(zip(self._steps, self._largest, strict=True)):
            sizes = [model.sizes[group] for model in self._data]
            batches = draw_epoch(streams, sizes, [model.noise for model in self._data], steps, largest)
            parts = (batches.index + first, batches.mask, batches.noise)
            drawn.append([_moved(part, self.stack.device) for part in parts])
            first += torch.tensor(sizes).unsqueeze(1)
        total: dict[str, Tensor] = {}
        for group, step in in_turn(self._steps):
            if stop is not None and stop.is_set():
                raise InterruptedError("another part of the stack has stopped")
            index, mask, noise = drawn[group]
            losses = self._step(index[step], mask[step], noise[step], progress)
            total = {name: value + total.get(name, 0) for name, value in losses.items()}
        return {name: value / sum(self._steps) for name, value in total.items()}

    def _step(self, index: Tensor, mask: Tensor, noise: Tensor, progress: Tensor) -> dict[str, Tensor]:
        batch = {name: items[self._rows, index] for name, items in self._items.items()}  # [models, batch, …]
        if self._read is not None:
            batch |= self._read(batch)
        batch |= self._constants  # [models, …]
        weights = self.stack.weights.requires_grad_()
        losses = self._losses(weights, batch, mask, noise, progress)  # each [models]
        # No model's loss depends on another's row, so that the sum's gradient is each model's own. (`torch.func.grad`
        # within `vmap` gives the same, a little slower, and imports PyTorch's compiler: a second and 170 MB.)
        (gradients,) = torch.autograd.grad(losses["loss"].sum(), weights)  # [models, row]
        weights.requires_grad_(False)
        # Each model by the norm of its own row; what is added keeps a gradient of zero from dividing by it.
        norms = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
        gradients.mul_((self._optimiser.clip_norm / (norms + 1e-6)).clamp(max=1.0))
        self._move(gradients)
        return {name: value.detach() for name, value in losses.items()}

    def _move(self, gradients: Tensor) -> None:
        stack = self.stack
        adamw(
            [stack.weights],
            [gradients],
            [stack.first_moments],
            [stack.second_moments],
            [],
            [stack.steps],
            fused=stack.device.type in ("cpu", "cuda", "mps"),
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self._optimiser.learning_rate,
            weight_decay=self._optimiser.weight_decay,
            eps=1e-8,
            maximize=False,
        )


def _moved(part: Tensor, device: torch.device) -> Tensor:
    """A tensor on the device; to a GPU it goes while the CPU goes on, which only pinned memory allows."""
    return part.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else part.to(device)


def _padded(parts: Sequence[Tensor], device: torch.device) -> Tensor:
    """Data sets of different sizes as one tensor [models, most items, …], zeros behind each."""
    return pad_sequence(list(parts), batch_first=True).to(device)
