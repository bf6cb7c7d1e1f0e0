"""All that the rounds of a federation need to know, before the first."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch

from feda2v_cli.federation.pool import Node, Pool
from feda2v_cli.federation.retrieval import HeldOut
from feda2v_cli.federation.space import Space
from feda2v_cli.federation.standardise import Standardisation
from feda2v_cli.federation.strategy.strategy import Strategy, make_strategy
from feda2v_cli.federation.synthetic import NodeGenerator
from feda2v_cli.profile.schema import AdapterSection, FederationSection, SyntheticSection

#: Share of the learning rate that is left in the last round.
LAST_LEARNING_RATE_SHARE = 0.05
#: The node that holds all clips in central training. No node of a profile has this id.
CENTRAL_NODE = -1


@dataclass(frozen=True)
class Setup:
    """A federation before its first round.

    Attributes:
        classes: of all nodes, sorted.
        spaces: target spaces.
        nodes: sorted by id.
        clips: all clips that train; nodes refer to them.
        held_out: clips for evaluation.
        standardisation: of embeddings, the same on every node.
        generators: generators of all nodes; empty when no samples are used.
        federation: rounds, strategy, participation.
        synthetic: which samples, and for what.
        adapter: batch size and optimiser.
        budget: bytes that a stack may take.
        device: where training happens.
        seed: of the run.
    """

    classes: tuple[str, ...]
    spaces: tuple[Space, ...]
    nodes: tuple[Node, ...]
    clips: Pool
    held_out: HeldOut
    standardisation: Standardisation
    generators: tuple[NodeGenerator, ...]
    federation: FederationSection
    synthetic: SyntheticSection
    adapter: AdapterSection
    budget: int
    device: torch.device
    seed: int

    @property
    def strategy(self) -> Strategy:
        """How the nodes' adapters become the server's."""
        return make_strategy(self.federation)

    @property
    def samples_per_class(self) -> int:
        """Most samples of a class that a node gets."""
        return max(node.samples_per_class for node in self.nodes) if self.generators else 0

    def uses(self, use: str) -> bool:
        """Whether samples are used for something: local, server or kd."""
        if not self.generators:
            return False
        return self.strategy.distils if use == "kd" else use in self.synthetic.use and not self.strategy.is_central

    def learning_rate_share(self, round_number: int) -> float:
        """Share of the learning rate in a round (cosine: Loshchilov and Hutter, SGDR, 2017, without restarts).

        Constant rates leave the last round's adapters as noisy as the first's.
        """
        if self.adapter.schedule == "constant":
            return 1.0
        passed = (round_number - 1) / max(1, self.federation.rounds - 1)
        return LAST_LEARNING_RATE_SHARE + (1 - LAST_LEARNING_RATE_SHARE) * (1 + math.cos(math.pi * passed)) / 2

    def baseline(self, strategy: str) -> Self:
        """The same federation without samples, for comparison.

        Its nodes take as many optimiser steps as they would take with the samples. In central training one node holds
        every clip.

        Args:
            strategy: none, fedavg or central.
        """
        federation = self.federation.model_copy(update={"strategy": strategy})
        if strategy == "central":
            return replace(self, federation=federation, generators=(), nodes=(self._central_node(),))
        matched = tuple(
            replace(node, repeat_to=len(node.clips) + self.samples_of(node), samples_per_class=0) for node in self.nodes
        )
        return replace(self, federation=federation, generators=(), nodes=matched)

    def samples_of(self, node: Node) -> int:
        """How many samples of others a node trains on."""
        if not self.uses("local"):
            return 0
        made = {name for source in self.generators if source.node != node.id for name in source.generator.classes}
        return node.samples_per_class * len(made)

    def _central_node(self) -> Node:
        return central_node(self.nodes, self.adapter)


def central_node(nodes: Sequence[Node], adapter: AdapterSection) -> Node:
    """One node with the clips of all, each once."""
    clips = torch.tensor(sorted({place for node in nodes for place in node.clips.tolist()}))
    rates = {"clip": adapter.clip_learning_rate, "t5": adapter.t5_learning_rate}
    return Node(CENTRAL_NODE, clips, {}, rates)
