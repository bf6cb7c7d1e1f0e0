"""From a plan to a federation that can run: embeddings, what they are standardised with, and who holds which."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from feda2v_cli.data.clip import Clip
from feda2v_cli.data.nodes import NodeClips
from feda2v_cli.embedding.embed import Embeddings
from feda2v_cli.embedding.stored import StoredEmbeddings
from feda2v_cli.federation.inputs import Inputs, JoinedInputs, inputs_of
from feda2v_cli.federation.pool import Node, Pool, learning_rates
from feda2v_cli.federation.retrieval import HeldOut
from feda2v_cli.federation.setup import Setup
from feda2v_cli.federation.standardise import Standardisation, Sums
from feda2v_cli.federation.synthetic import NodeGenerator, standardised_by_samples
from feda2v_cli.generator.rebuild import rebuild
from feda2v_cli.job.federate.plan import FederationPlan, standardises_by_samples
from feda2v_cli.threads import threads_per_operation


def set_up_federation(plan: FederationPlan, embeddings: Embeddings | Mapping[int, Embeddings]) -> Setup:
    """Put a federation together.

    Args:
        plan: of the run.
        embeddings: of all clips of all nodes, each once; by node where their tokens differ.

    Raises:
        MissingError: a class is left without a clip that trains.
    """
    of_node = embeddings if isinstance(embeddings, Mapping) else {node.node_id: embeddings for node in plan.nodes}
    kinds = list({id(kind): kind for kind in of_node.values()}.values())
    nodes = tuple(_usable(node, of_node[node.node_id]) for node in plan.nodes)
    places = [{clip: place for place, clip in enumerate(kind.clips)} for kind in kinds]
    kind_of = {node.node_id: kinds.index(of_node[node.node_id]) for node in nodes}
    classes, device = plan.classes, plan.device

    def stored(kind: int, clips: Iterable[Clip]) -> StoredEmbeddings:
        return kinds[kind].stored.of([places[kind][clip] for clip in clips])

    def inputs(items: Iterable[tuple[int, Clip]]) -> Inputs:
        """What adapters take of clips, each with its kind, those of the first kind first."""
        listed = list(items)
        parts = [
            inputs_of(stored(kind, [clip for own, clip in listed if own == kind]), standardisation, device)
            for kind in range(len(kinds))
        ]
        return parts[0] if len(parts) == 1 else JoinedInputs.of(*parts)

    def labels(items: Iterable[tuple[int, Clip]]) -> Tensor:
        return torch.tensor([classes.index(clip.class_name) for _, clip in items], dtype=torch.long, device=device)

    generators = makers(plan)
    if plan.trained is not None:
        standardisation = plan.trained.standardisation
    elif standardises_by_samples(plan.profile):
        standardisation = standardised_by_samples(generators, plan.profile.experiment.seed)
    else:
        with threads_per_operation(1):  # the same bits whatever the number of cores
            standardisation = Standardisation.of(
                Sums.of(stored(kind_of[node.node_id], node.train), plan.rounded_clips(node)) for node in nodes
            )
    by_kind = sorted(nodes, key=lambda node: kind_of[node.node_id])
    train = list(dict.fromkeys((kind_of[node.node_id], clip) for node in by_kind for clip in node.train))
    of_train = {item: place for place, item in enumerate(train)}
    sections = {node.id: node for node in plan.profile.nodes}
    members = tuple(
        Node(
            id=node.node_id,
            clips=torch.tensor([of_train[kind_of[node.node_id], clip] for clip in node.train], dtype=torch.long),
            clips_of_class={classes.index(name): count for name, count in plan.told_clips(node).items()},
            learning_rates=learning_rates(plan.profile.adapter, sections[node.node_id]),
            samples_per_class=plan.samples_per_class(node),
        )
        for node in sorted(nodes, key=lambda node: node.node_id)
    )
    held_out: dict[tuple[int, Clip], list[int]] = {}  # with the nodes that hold each
    for node in by_kind:
        for clip in node.held_out:
            held_out.setdefault((kind_of[node.node_id], clip), []).append(node.node_id)
    return Setup(
        profile=plan.profile,
        spaces=tuple(replace(space, targets=space.targets.to(device)) for space in plan.spaces),
        nodes=members,
        clips=Pool(inputs(train), labels(train), len(train)),
        held_out=HeldOut(
            inputs(held_out),
            labels(held_out),
            tuple(map(tuple, held_out.values())),
            tuple(node.id for node in members),
        ),
        standardisation=standardisation,
        generators=generators,
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


def _usable(node: NodeClips, embeddings: Embeddings) -> NodeClips:
    """A node without clips that are unreadable."""
    gone = {clip for clip, _ in embeddings.skipped}
    return node.without(gone) if gone else node
