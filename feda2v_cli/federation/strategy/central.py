"""Central training: all clips lie in one place, as no federation allows. It is the upper bound."""

from collections.abc import Mapping, Sequence

import torch

from feda2v_cli.federation.pool import Node
from feda2v_cli.federation.strategy.averaging import FedAvg
from feda2v_cli.federation.strategy.strategy import Owner, refuse_distillation
from feda2v_cli.profile.schema import Profile, SyntheticSection

#: The node that holds all clips. No node of a profile has this id.
CENTRAL_NODE = -1


class Central(FedAvg):
    """The average of one node that has every clip is what it has trained."""

    needs_clips_in_one_place = True
    #: Where all clips lie in one place there is no connection to lose.
    can_fail = False
    remark = "central: all clips lie in one place, as no federation allows; it is the upper bound"

    def check(self, profile: Profile) -> None:
        """Make sure that a profile's values make sense. One node is always there: a quorum means nothing.

        Raises:
            UsageError: they do not.
        """
        refuse_distillation(profile)

    def sample_uses(self, synthetic: SyntheticSection) -> tuple[str, ...]:  # noqa: ARG002 - whatever it says
        """Nothing: samples stand in for clips that may not move."""
        return ()

    def trainers(self, nodes: Sequence[Node], learning_rates: Mapping[str, float]) -> tuple[Node, ...]:
        """One node with the clips of all, each once."""
        clips = torch.tensor(sorted({place for node in nodes for place in node.clips.tolist()}))
        return (Node(CENTRAL_NODE, clips, {}, dict(learning_rates), title="central training"),)

    def saved(self, nodes: Sequence[int]) -> list[Owner]:  # noqa: ARG002 - they have trained nothing
        """The server's alone."""
        return [None]
