"""How good adapters are: retrieval of a clip's class among all classes of the federation."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import normalize, one_hot

from feda2v_cli.engine.stack import parameters_of
from feda2v_cli.federation.inputs import Inputs, slices_of
from feda2v_cli.federation.space import Space
from feda2v_cli.threads import threads_per_operation

_CLIPS_AT_ONCE = 256


@dataclass(frozen=True)
class HeldOut:
    """Clips that are held out.

    Attributes:
        embeddings: standardised, [clips, tokens, dim], or where they are read.
        labels: index of each one's class, [clips].
        holders: ids of the nodes that hold each, in the order of the clips; a clip may be held by several.
        nodes: ids of all nodes.
    """

    embeddings: Inputs
    labels: Tensor
    holders: tuple[tuple[int, ...], ...]
    nodes: tuple[int, ...]


@dataclass(frozen=True)
class RetrievalAccuracy:
    """Counts, so that evaluations can be added and every accuracy is a part of the same sum.

    Attributes:
        classes: of the federation.
        confusion: clips by class and by the class that was retrieved, [classes, classes].
        node_hits: clips of each node that were retrieved rightly, and all of its clips.
        squared_error: sum over clips of the scaled squared error, by space.
        cosines: sums over clips of the cosine to the own target and to the nearest other, by space.
    """

    classes: tuple[str, ...]
    confusion: Tensor
    node_hits: Mapping[int, tuple[int, int]]
    squared_error: Mapping[str, float] = field(default_factory=dict)
    cosines: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def accuracy(self) -> float:
        """Share of all clips whose class was retrieved."""
        return int(self.confusion.diagonal().sum()) / int(self.confusion.sum())

    @property
    def loss(self) -> dict[str, float]:
        """Mean scaled squared error of a clip, by space: 1 is what the mean of the targets scores."""
        return {space: total / int(self.confusion.sum()) for space, total in self.squared_error.items()}

    @property
    def cosine(self) -> dict[str, dict[str, float]]:
        """Mean cosine of a clip's output to its own target and to the nearest other, by space; both centred."""
        clips = int(self.confusion.sum())
        return {space: {"own": own / clips, "other": other / clips} for space, (own, other) in self.cosines.items()}

    def __add__(self, other: "RetrievalAccuracy") -> "RetrievalAccuracy":
        return RetrievalAccuracy(
            self.classes,
            self.confusion + other.confusion,
            {
                node: (hits + other.node_hits[node][0], clips + other.node_hits[node][1])
                for node, (hits, clips) in self.node_hits.items()
            },
            {space: total + other.squared_error[space] for space, total in self.squared_error.items()},
            {
                space: (own + other.cosines[space][0], nearest + other.cosines[space][1])
                for space, (own, nearest) in self.cosines.items()
            },
        )

    @staticmethod
    def total(parts: "Iterable[RetrievalAccuracy]") -> "RetrievalAccuracy":
        """The sum of at least one."""
        return reduce(add, parts)

    def to_dict(self) -> dict[str, Any]:
        """Accuracies and losses as JSON has them; a node or class without a clip held out has null."""
        rows = zip(self.classes, self.confusion, strict=True)
        return {
            "accuracy": self.accuracy,
            "node_accuracy": {
                str(node): hits / clips if clips else None for node, (hits, clips) in self.node_hits.items()
            },
            "per_class_accuracy": {
                name: int(row[index]) / int(row.sum()) if row.sum() else None for index, (name, row) in enumerate(rows)
            },
            "loss": self.loss,
            "cosine": self.cosine,
        }


def measure_retrieval(
    adapters: Mapping[str, Tensor], spaces: Sequence[Space], held_out: HeldOut, classes: Sequence[str]
) -> RetrievalAccuracy:
    """Ask the adapters for the class of every clip that is held out.

    A clip's class is the one whose target lies nearest to the adapter's output by cosine, averaged over the spaces;
    both are centred at the mean target, for text embeddings have a large part in common that tells nothing apart.

    Args:
        adapters: their flat parameters by space, [parameters].
        spaces: all of them.
        held_out: the clips.
        classes: of the federation, in the order of the targets.
    """
    errors, cosines = {}, {}
    similarity = torch.zeros(len(held_out.labels), len(classes))
    with torch.no_grad(), threads_per_operation(1):
        for space in spaces:
            parameters = parameters_of(adapters[space.name].to(held_out.embeddings.device), space.shapes)
            targets = space.targets.flatten(1)  # [classes, elements]
            directions = normalize(targets, dim=1).T
            total = own = nearest = 0.0
            for part in slices_of(held_out.embeddings, _CLIPS_AT_ONCE):
                output = functional_call(space.adapter, parameters, (held_out.embeddings[part],)).flatten(1)
                # On the CPU: a Mac's GPU knows no double precision.
                total += float((output - targets[held_out.labels[part]]).square().mean(1).cpu().double().sum())
                cosine = (normalize(output, dim=1) @ directions).cpu()
                similarity[part] += cosine
                right = held_out.labels[part].cpu()[:, None]
                own += float(cosine.gather(1, right).double().sum())
                if len(classes) > 1:
                    nearest += float(cosine.scatter(1, right, -2.0).amax(1).double().sum())
            errors[space.name] = total
            cosines[space.name] = (own, nearest)
    labels = held_out.labels.cpu()
    retrieved = similarity.argmax(1)
    shown = one_hot(labels * len(classes) + retrieved, len(classes) ** 2).sum(0)
    hit = (retrieved == labels).tolist()
    hits = dict.fromkeys(held_out.nodes, 0)
    clips = dict.fromkeys(held_out.nodes, 0)
    for holders, is_right in zip(held_out.holders, hit, strict=True):
        for node in holders:
            hits[node] += is_right
            clips[node] += 1
    counts = {node: (hits[node], clips[node]) for node in held_out.nodes}
    return RetrievalAccuracy(tuple(classes), shown.view(len(classes), len(classes)), counts, errors, cosines)
