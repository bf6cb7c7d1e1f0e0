"""Server optimisers: the mean update of a round is a gradient (Reddi et al., Adaptive Federated Optimization, 2021).

Algorithm 2 of the paper, with x_t the server's parameters, p_i the weight of node i, x_i^t what node i has trained:

    Δ_t = Σ_i p_i (x_i^t − x_t)                         the mean update; −Δ_t is the gradient of an optimiser
    m_t = β₁ m_{t−1} + (1 − β₁) Δ_t
    v_t = v_{t−1} − (1 − β₂) Δ_t² sign(v_{t−1} − Δ_t²)  FedYogi
    v_t = β₂ v_{t−1} + (1 − β₂) Δ_t²                    FedAdam
    x_{t+1} = x_t + η m_t / (√v_t + τ)

from m_{−1} = 0 and v_{−1} = τ², without the correction of their bias that Kingma and Ba's Adam (2015, algorithm 1) has:
where that takes whole steps at once, these begin small.
"""

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

#: Of the paper, section 4: how adaptive FedAdam and FedYogi are (τ), and how long they remember (β₁, β₂).
ADAPTIVITY = 1e-3
BETAS = (0.9, 0.99)

#: Makes the optimiser of some parameters.
MakeOptimiser = Callable[[list[Tensor]], Optimizer]


def move_server(
    make: MakeOptimiser, state: Mapping[str, Any] | None, server: Tensor, average: Tensor
) -> tuple[Tensor, dict[str, Any]]:
    """The server's adapter after a step, [parameters], and what the optimiser remembers of it.

    Args:
        make: makes the optimiser.
        state: what it remembers of the steps before; None before the first.
        server: the adapter before, [parameters].
        average: what the nodes' adapters have become together, Σ_i p_i x_i^t, [parameters].
    """
    moved = server.clone()
    optimiser = make([moved])
    if state is not None:
        optimiser.load_state_dict(copy.deepcopy(dict(state)))
    moved.grad = server - average  # −Δ_t, for Σ_i p_i = 1
    optimiser.step()
    return moved, optimiser.state_dict()


def sgd(learning_rate: float, momentum: float) -> MakeOptimiser:
    """Gradient descent with momentum: m_t = β m_{t−1} + Δ_t, x_{t+1} = x_t + η m_t."""
    return lambda parameters: torch.optim.SGD(parameters, learning_rate, momentum)


def adam(learning_rate: float) -> MakeOptimiser:
    """Adam, as FedAdam has it."""
    return lambda parameters: Adam(parameters, learning_rate)


def yogi(learning_rate: float) -> MakeOptimiser:
    """Yogi, as FedYogi has it."""
    return lambda parameters: Yogi(parameters, learning_rate)


class Adaptive(Optimizer):
    """A step of algorithm 2; how v_t comes from v_{t−1}, its subclasses say.

    Args:
        parameters: what it moves.
        learning_rate: of a step, η.
    """

    def __init__(self, parameters: Iterable[Tensor], learning_rate: float) -> None:
        super().__init__(parameters, {"lr": learning_rate})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override] # noqa: ARG002 - nothing is evaluated again
        """Move the parameters along their gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient, state = parameter.grad, self.state[parameter]
                if not state:
                    state["mean"] = torch.zeros_like(parameter)
                    state["square"] = torch.full_like(parameter, ADAPTIVITY**2)  # v_{−1} = τ²
                # With −Δ_t for a gradient, "mean" is −m_t, and the step goes against it.
                state["mean"].lerp_(gradient, 1 - BETAS[0])
                self.remember(state["square"], gradient.square())
                # x_{t+1} = x_t + η m_t / (√v_t + τ)
                parameter.sub_(group["lr"] * state["mean"] / (state["square"].sqrt() + ADAPTIVITY))

    @abstractmethod
    def remember(self, square: Tensor, new: Tensor) -> None:
        """Make v_t, in place, of v_{t−1} and Δ_t²."""


class Adam(Adaptive):
    """FedAdam's optimiser (Reddi et al., 2021, algorithm 2)."""

    def remember(self, square: Tensor, new: Tensor) -> None:
        """v_t = β₂ v_{t−1} + (1 − β₂) Δ_t²."""
        square.lerp_(new, 1 - BETAS[1])


class Yogi(Adaptive):
    """FedYogi's optimiser (Zaheer et al., 2018; Reddi et al., 2021, algorithm 2)."""

    def remember(self, square: Tensor, new: Tensor) -> None:
        """v_t = v_{t−1} − (1 − β₂) Δ_t² sign(v_{t−1} − Δ_t²)."""
        square.sub_((1 - BETAS[1]) * new * (square - new).sign())
