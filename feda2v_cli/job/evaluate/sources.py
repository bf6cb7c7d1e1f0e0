"""The generators of a set, each with the clips that trained it and the Gaussian fitted to the same clips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from feda2v_cli.checkpoint.metadata import GeneratorMetadata
from feda2v_cli.data.clip import Clip, fingerprint
from feda2v_cli.generator.gaussian import GaussianFitting
from feda2v_cli.generator.generator import Generator
from feda2v_cli.generator.granularity import GeneratorSpec
from feda2v_cli.generator.rebuild import rebuild
from feda2v_cli.generator.training_set import training_set
from feda2v_cli.job.evaluate.plan import EvaluationPlan
from feda2v_cli.job.nodes import embed_each_node
from feda2v_cli.privacy.inquiry import Suspects
from feda2v_cli.profile.schema import GeneratorSection
from feda2v_cli.run.event import Listener
from feda2v_cli.verifier.finding import Finding, FindingsError

#: Embeddings [features] of the clips that can be read, by the id of the node that embeds them.
Embedded = Mapping[int, Mapping[Clip, Tensor]]


@dataclass(frozen=True)
class Source:
    """One generator.

    Attributes:
        metadata: of its file.
        generator: itself.
        clips: that trained it.
        baseline: the Gaussian fitted to the same clips.
    """

    metadata: GeneratorMetadata
    generator: Generator
    clips: tuple[Clip, ...]
    baseline: Generator


def embed_all(plan: EvaluationPlan, listener: Listener) -> Embedded:
    """Every clip of a plan that can be read, as each node embeds it; nodes with the same tokens share them."""
    embeddings = embed_each_node(plan.nodes, plan.encoders, plan.profile, listener)
    features = {id(kind): dict(zip(kind.clips, kind.values.flatten(1), strict=True)) for kind in embeddings.values()}
    return {node: features[id(kind)] for node, kind in embeddings.items()}


def sources_of(plan: EvaluationPlan, embedded: Embedded, *, permissive: bool, emit: Listener) -> list[Source]:
    """Generators and their baselines, when they were trained on these clips.

    Args:
        plan: with the set that is loaded.
        embedded: embeddings of the clips that can be read.
        permissive: only warn of a generator that other clips trained.
        emit: is told of them then.

    Raises:
        FindingsError: other clips trained a generator.
    """
    nodes = {node.node_id: node for node in plan.nodes}
    section = GeneratorSection(type="gaussian")
    sources, differing = [], []
    for metadata, state in plan.loaded:
        own, values_of = nodes[metadata.node_id].train, embedded[metadata.node_id]
        clips = [clip for clip in own if clip.class_name in metadata.generator_classes and clip in values_of]
        # A file that promises something of every clip does not say which they were: those of now are taken.
        if metadata.dataset_fingerprint and fingerprint(clips) != metadata.dataset_fingerprint:
            differing.append(
                Finding(
                    "FA016",
                    str(plan.directory / metadata.name.filename),
                    f"trained on {sum(metadata.samples_per_class.values())} clips of {metadata.dataset_name}, "
                    f"which are not the {len(clips)} clips of now",
                    hint="--data-root and --profile that trained it, or --permissive to evaluate it all the same",
                )
            )
        spec = GeneratorSpec(
            metadata.node_id, metadata.generator_granularity, metadata.generator_key, metadata.generator_classes
        )
        values = torch.stack([values_of[clip] for clip in clips]).view(-1, *metadata.embedding_shape)
        data = training_set(spec, values, [clip.class_name for clip in clips], section)
        generator = rebuild(metadata.architecture, metadata.generator_classes, state)
        sources.append(Source(metadata, generator, tuple(clips), GaussianFitting([data], section).generator(0)))
    if differing and not permissive:
        raise FindingsError(differing)
    for finding in differing:
        emit(finding.event())
    return sources


def suspects_of(plan: EvaluationPlan, sources: Sequence[Source], embedded: Embedded) -> list[Suspects]:
    """Clips of each class of each generator that trained it, and those that its node holds out.

    Classes without a clip that is held out are left out.
    """
    found = []
    for source, members, others in sides_of(plan, sources, embedded):
        name = members[0].class_name
        found.append(
            Suspects(
                source.generator,
                name,
                torch.stack([embedded[source.metadata.node_id][clip] for clip in members]),
                torch.stack([embedded[source.metadata.node_id][clip] for clip in others]),
            )
        )
    return found


def sides_of(
    plan: EvaluationPlan, sources: Sequence[Source], embedded: Embedded
) -> list[tuple[Source, list[Clip], list[Clip]]]:
    """Of each class of each generator the clips that trained it, and those that its node holds out, some at least."""
    nodes = {node.node_id: node for node in plan.nodes}
    sides = []
    for source in sources:
        node = source.metadata.node_id
        held = [clip for clip in nodes[node].held_out if clip in embedded[node]]
        for name in source.generator.classes:
            members = [clip for clip in source.clips if clip.class_name == name]
            others = [clip for clip in held if clip.class_name == name]
            if members and others:
                sides.append((source, members, others))
    return sides
