"""Server optimisers: the mean update of a round is a gradient (Reddi et al., Adaptive Federated Optimization, 2021)."""

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

#: Of the paper, section 4: how adaptive FedAdam and FedYogi are, and how long they remember.
ADAPTIVITY = 1e-3
BETAS = (0.9, 0.99)


class ServerOptimiser:
    """Moves the server's adapter with an optimiser of PyTorch.

    Args:
        make: makes the optimiser of one parameter.
        row: the adapter, [row].
    """

    def __init__(self, make: Callable[[list[Tensor]], Optimizer], row: Tensor) -> None:
        self._row = row.clone()
        self._optimiser = make([self._row])

    def step(self, row: Tensor, aggregate: Tensor) -> Tensor:
        """The server's adapter after a round, [row].

        Args:
            row: before the round, [row].
            aggregate: what the nodes' adapters have become together, [row].
        """
        self._row.copy_(row)
        self._row.grad = row - aggregate
        self._optimiser.step()
        return self._row.clone()

    def state(self) -> dict[str, Any]:
        """All that it has to know to go on."""
        return copy.deepcopy(self._optimiser.state_dict())

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a `state`."""
        self._optimiser.load_state_dict(state)


class Yogi(Optimizer):
    """Yogi without bias correction, as FedYogi has it (Zaheer et al., 2018; Reddi et al., 2021, algorithm 2).

    Args:
        parameters: what it moves.
        learning_rate: of a step.
    """

    def __init__(self, parameters: Iterable[Tensor], learning_rate: float) -> None:
        super().__init__(parameters, {"lr": learning_rate})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override] # noqa: ARG002 - nothing is evaluated again
        """Move the parameters along their gradients."""
        first, second = BETAS
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient, state = parameter.grad, self.state[parameter]
                if not state:
                    state["mean"] = torch.zeros_like(parameter)
                    state["square"] = torch.full_like(parameter, ADAPTIVITY**2)
                square = gradient.square()
                state["mean"].lerp_(gradient, 1 - first)
                state["square"].sub_((1 - second) * square * (state["square"] - square).sign())
                parameter.sub_(group["lr"] * state["mean"] / (state["square"].sqrt() + ADAPTIVITY))
