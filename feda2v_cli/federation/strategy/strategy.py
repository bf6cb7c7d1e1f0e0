"""Which strategies there are. Each is a few parts put together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from feda2v_cli.federation.pool import Node
from feda2v_cli.federation.strategy.robust import median, trimmed_mean
from feda2v_cli.federation.strategy.server_optimiser import ADAPTIVITY, BETAS, Yogi
from feda2v_cli.federation.strategy.weight import by_class, by_clips
from feda2v_cli.profile.schema import FederationSection

#: Step of FedAdam and FedYogi when the profile does not say: about how far a parameter moves in a round.
ADAPTIVE_LEARNING_RATE = 1e-2


@dataclass(frozen=True)
class Strategy:
    """How the nodes' adapters become the server's.

    Attributes:
        name: as the profile has it.
        robust: one value of each parameter from those of all nodes, [nodes, parameters] -> [parameters]; None for the
            weighted mean.
        weights: what each node counts in the weighted mean, [nodes].
        optimiser: moves the server's adapter; None puts the aggregate in its place.
        proximal: weight of the proximal term in the nodes' training.
        exchanges: whether nodes and server exchange adapters at all.
        distils: whether the server learns from the nodes' outputs and not from their parameters.
        is_central: whether all clips lie in one place, as no federation allows.
    """

    name: str
    robust: Callable[[Tensor], Tensor] | None = None
    weights: Callable[[Sequence[Node]], Tensor] = by_clips
    optimiser: Callable[[list[Tensor]], Optimizer] | None = None
    proximal: float = 0.0
    exchanges: bool = True
    distils: bool = False
    is_central: bool = False


def make_strategy(section: FederationSection) -> Strategy:
    """The strategy that a profile names."""
    name = section.strategy
    momentum = section.server_momentum
    # FedAvgM (Hsu et al., 2019) adds updates up; with this rate an update's steps add up to the update and no more.
    rate = section.server_learning_rate or (1 - momentum if name == "fedavgm" else ADAPTIVE_LEARNING_RATE)
    match name:
        case "fedprox":
            return Strategy(name, proximal=section.proximal)
        case "fedavgm":
            return Strategy(name, optimiser=lambda row: torch.optim.SGD(row, rate, momentum))
        case "fedadam":
            return Strategy(name, optimiser=lambda row: torch.optim.Adam(row, rate, BETAS, ADAPTIVITY))
        case "fedyogi":
            return Strategy(name, optimiser=lambda row: Yogi(row, rate))
        case "median":
            return Strategy(name, robust=median)
        case "trimmed_mean":
            return Strategy(name, robust=lambda values: trimmed_mean(values, section.trim))
        case "per_class_average":
            return Strategy(name, weights=by_class)
        case "kd":
            return Strategy(name, distils=True)
        case "none":
            return Strategy(name, exchanges=False)
        case "central":
            return Strategy(name, is_central=True)
    return Strategy(name)
