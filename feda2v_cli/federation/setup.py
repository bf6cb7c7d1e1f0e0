"""All that the rounds of a federation need to know, before the first."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from feda2v_cli.federation.pool import Node, Pool, learning_rates
from feda2v_cli.federation.retrieval import HeldOut
from feda2v_cli.federation.sampled_pool import Sampling
from feda2v_cli.federation.space import Space
from feda2v_cli.federation.standardise import Standardisation
from feda2v_cli.federation.strategy.registry import make_strategy
from feda2v_cli.federation.strategy.strategy import Owner
from feda2v_cli.federation.synthetic import NodeGenerator
from feda2v_cli.profile.schema import Profile

#: Share of the learning rate that is left in the last round.
LAST_LEARNING_RATE_SHARE = 0.05


@dataclass(frozen=True)
class Setup:
    """A federation before its first round.

    Attributes:
        profile: of the run, with the nodes that take part.
        spaces: target spaces.
        nodes: sorted by id.
        clips: all clips that train; nodes refer to them.
        held_out: clips for evaluation.
        standardisation: of embeddings, the same on every node.
        generators: generators of all nodes; empty when no samples are used.
        budget: bytes that a stack may take.
        device: where training happens.
        trained: adapters that are evaluated and not trained, flat parameters [parameters] by owner and target space;
            empty where the rounds train them.
    """

    profile: Profile
    spaces: tuple[Space, ...]
    nodes: tuple[Node, ...]
    clips: Pool
    held_out: HeldOut
    standardisation: Standardisation
    generators: tuple[NodeGenerator, ...]
    budget: int
    device: torch.device
    trained: Mapping[Owner, Mapping[str, Tensor]] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """Of the run."""
        return self.profile.experiment.seed

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Of all nodes, sorted."""
        return self.profile.classes

    @cached_property
    def sample_uses(self) -> tuple[str, ...]:
        """What samples are used for: local, server, kd."""
        return make_strategy(self.profile.federation).sample_uses(self.profile.synthetic) if self.generators else ()

    @cached_property
    def trainers(self) -> tuple[Node, ...]:
        """The nodes that train."""
        return make_strategy(self.profile.federation).trainers(self.nodes, learning_rates(self.profile.adapter))

    @property
    def most_samples_per_class(self) -> int:
        """Most samples of a class that a node gets, and as many as the server gets."""
        return max(node.samples_per_class for node in self.nodes) if self.generators else 0

    @property
    def sampling(self) -> Sampling:
        """How samples are drawn."""
        return Sampling(
            generators=self.generators,
            classes=self.classes,
            per_class=self.most_samples_per_class,
            uses=self.sample_uses,
            every_round=self.profile.synthetic.refresh == "round",
            by_class=self.matches_by_class,
            seed=self.seed,
            standardisation=self.standardisation,
        )

    def learning_rate_share(self, space: str, round_number: int) -> float:
        """Share of a target space's learning rate in a round: from 1 to the last share, η, along half a cosine.

            share_t = η + (1 − η) (1 + cos(π t / T)) / 2

        (Loshchilov and Hutter, SGDR, 2017, equation 5, without restarts), with t rounds passed of T. Constant rates
        leave the last round's adapters as noisy as the first's.
        """
        if self.profile.adapter.schedule_of(space) == "constant":
            return 1.0
        passed = (round_number - 1) / max(1, self.profile.federation.rounds - 1)
        return LAST_LEARNING_RATE_SHARE + (1 - LAST_LEARNING_RATE_SHARE) * (1 + math.cos(math.pi * passed)) / 2

    def baseline(self, strategy: str) -> Self:
        """The same federation with another strategy and without samples, for comparison.

        Its nodes take as many optimiser steps as they would take with the samples.

        Args:
            strategy: as a profile has it.
        """
        matched = tuple(
            replace(node, repeat_to=len(node.clips) + self.samples_of(node), samples_per_class=0) for node in self.nodes
        )
        return replace(self.with_strategy(strategy), generators=(), nodes=matched)

    def with_strategy(self, strategy: str) -> Self:
        """The same federation with another strategy, and with the samples that it has.

        Args:
            strategy: as a profile has it.
        """
        federation = self.profile.federation.model_copy(update={"strategy": strategy})
        return replace(self, profile=self.profile.model_copy(update={"federation": federation}))

    @property
    def server_samples(self) -> int:
        """How many samples the server trains or distils on."""
        if not {"server", "kd"} & set(self.sample_uses):
            return 0
        return self.most_samples_per_class * len({name for made in self.generators for name in made.generator.classes})

    def samples_of(self, node: Node) -> int:
        """How many samples of others a node trains on."""
        if "local" not in self.sample_uses:
            return 0
        made = {
            name for source in self.generators if self._of_others(source, node) for name in source.generator.classes
        }
        if self.matches_by_class:
            made -= {self.classes[label] for label in node.clips_of_class}
        return node.samples_per_class * len(made)

    @property
    def matches_by_class(self) -> bool:
        """Whether generators stand for classes, and not for the nodes that trained them."""
        return self.profile.synthetic.match == "class"

    def _of_others(self, source: NodeGenerator, node: Node) -> bool:
        return self.matches_by_class or source.node != node.id
