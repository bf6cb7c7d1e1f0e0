"""From a plan to a federation that can run: embeddings, what they are standardised with, and who holds which."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from feda2v_cli.data.clip import Clip
from feda2v_cli.data.nodes import NodeClips
from feda2v_cli.embedding.embed import Embeddings
from feda2v_cli.embedding.stored import StoredEmbeddings
from feda2v_cli.federation.inputs import inputs_of
from feda2v_cli.federation.pool import Node, Pool, learning_rates
from feda2v_cli.federation.retrieval import HeldOut
from feda2v_cli.federation.setup import Setup
from feda2v_cli.federation.standardise import Standardisation, Sums
from feda2v_cli.federation.synthetic import NodeGenerator
from feda2v_cli.generator.rebuild import rebuild
from feda2v_cli.job.federate.plan import FederationPlan
from feda2v_cli.threads import threads_per_operation


def set_up_federation(plan: FederationPlan, embeddings: Embeddings) -> Setup:
    """Put a federation together.

    Args:
        plan: of the run.
        embeddings: of all clips of all nodes, each once.

    Raises:
        MissingError: a class is left without a clip that trains.
    """
    nodes = _usable(plan, embeddings)
    places = {clip: place for place, clip in enumerate(embeddings.clips)}
    classes, device = plan.classes, plan.device

    def stored(clips: Iterable[Clip]) -> StoredEmbeddings:
        return embeddings.stored.of([places[clip] for clip in clips])

    def labels(clips: Iterable[Clip]) -> Tensor:
        return torch.tensor([classes.index(clip.class_name) for clip in clips], dtype=torch.long, device=device)

    if plan.trained is not None:
        standardisation = plan.trained.standardisation
    else:
        with threads_per_operation(1):  # the same bits whatever the number of cores
            standardisation = Standardisation.of(Sums.of(stored(node.train)) for node in nodes)
    train = list(dict.fromkeys(clip for node in nodes for clip in node.train))
    of_train = {clip: place for place, clip in enumerate(train)}
    sections = {node.id: node for node in plan.profile.nodes}
    members = tuple(
        Node(
            id=node.node_id,
            clips=torch.tensor([of_train[clip] for clip in node.train], dtype=torch.long),
            clips_of_class=dict(Counter(classes.index(clip.class_name) for clip in node.train)),
            learning_rates=learning_rates(plan.profile.adapter, sections[node.node_id]),
            samples_per_class=plan.samples_per_class(node),
        )
        for node in sorted(nodes, key=lambda node: node.node_id)
    )
    held_out = _held_out(nodes)
    return Setup(
        profile=plan.profile,
        spaces=tuple(replace(space, targets=space.targets.to(device)) for space in plan.spaces),
        nodes=members,
        clips=Pool(inputs_of(stored(train), standardisation, device), labels(train), len(train)),
        held_out=HeldOut(
            inputs_of(stored(held_out), standardisation, device),
            labels(held_out),
            tuple(map(tuple, held_out.values())),
            tuple(node.id for node in members),
        ),
        standardisation=standardisation,
        generators=makers(plan),
        budget=plan.budget,
        device=device,
        trained={} if plan.trained is None else plan.trained.parameters,
    )


def makers(plan: FederationPlan) -> tuple[NodeGenerator, ...]:
    """The generators of a plan, ready to draw."""
    if plan.generators is None:
        return ()
    return tuple(
        NodeGenerator(
            metadata.node_id,
            metadata.generator_key,
            rebuild(metadata.architecture, metadata.generator_classes, state),
        )
        for metadata, state in plan.generators.loaded
    )


def _held_out(nodes: Sequence[NodeClips]) -> dict[Clip, list[int]]:
    """Every clip that is held out, with the nodes that hold it."""
    holders: dict[Clip, list[int]] = {}
    for node in nodes:
        for clip in node.held_out:
            holders.setdefault(clip, []).append(node.node_id)
    return holders


def _usable(plan: FederationPlan, embeddings: Embeddings) -> tuple[NodeClips, ...]:
    """The nodes without clips that are unreadable."""
    gone = {clip for clip, _ in embeddings.skipped}
    return tuple(node.without(gone) for node in plan.nodes) if gone else plan.nodes
