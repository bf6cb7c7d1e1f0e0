"""What RUN 1 is going to do: which generators, from which clips, into which files, at what cost."""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import torch

from feda2v_cli.checkpoint.name import GeneratorName
from feda2v_cli.data.clip import Clip
from feda2v_cli.data.nodes import NodeClips, clips_of_nodes
from feda2v_cli.embedding.encoder import Encoder, make_encoder
from feda2v_cli.engine.memory import memory_budget, stacks
from feda2v_cli.errors import FailedError, UsageError
from feda2v_cli.generator.granularity import GeneratorSpec, generator_specs
from feda2v_cli.generator.registry import cost, largest_shapes, rounds_and_epochs, same_steps
from feda2v_cli.job.machine import BASELINE_BYTES, CHECKPOINT_OVERHEAD_BYTES, choose_device
from feda2v_cli.job.nodes import cache_directory, choose_nodes
from feda2v_cli.paths import is_named
from feda2v_cli.profile.load import LoadedProfile
from feda2v_cli.profile.schema import NodeSection, Profile


@dataclass(frozen=True)
class PlannedGenerator:
    """One generator that is to be trained.

    Attributes:
        spec: which one.
        node: its node's section of the profile.
        clips: that train it.
        samples_per_class: clips of each class.
        learning_rate: of its training.
        parameters: numbers that its checkpoint will hold, at most.
        bytes: of its checkpoint, at most.
        memory: bytes while it trains.
    """

    spec: GeneratorSpec
    node: NodeSection
    clips: tuple[Clip, ...]
    samples_per_class: dict[str, int]
    learning_rate: float
    parameters: int
    bytes: int
    memory: int

    def without(self, clips: Collection[Clip]) -> Self:
        """The same generator without some clips."""
        kept = tuple(clip for clip in self.clips if clip not in clips)
        return replace(self, clips=kept, samples_per_class=dict(Counter(clip.class_name for clip in kept)))

    def file(self, directory: Path, base_name: str, round_number: int | None) -> Path:
        """Its checkpoint after a round; None for the final one."""
        spec = self.spec
        return directory / GeneratorName(base_name, spec.node, spec.granularity, spec.key, round_number).filename


@dataclass(frozen=True)
class GeneratorPlan:
    """RUN 1 before it runs.

    Attributes:
        profile: of the run, with the nodes that are trained.
        whole: the profile with all of its nodes.
        directory: where checkpoints go.
        base_name: first part of their names.
        encoder: makes the embeddings.
        device: where training happens.
        budget: bytes that training may take.
        rounds: of training.
        epochs: of a round.
        save_rounds: rounds after which checkpoints are saved, beside the final ones.
        nodes: and their clips.
        generators: node by node.
    """

    profile: Profile
    whole: Profile
    directory: Path
    base_name: str
    encoder: Encoder
    device: torch.device
    budget: int
    rounds: int
    epochs: int
    save_rounds: tuple[int, ...]
    nodes: tuple[NodeClips, ...]
    generators: tuple[PlannedGenerator, ...]

    @property
    def stacks(self) -> list[list[PlannedGenerator]]:
        """Generators that are trained together, stack after stack."""
        section = self.profile.generator

        def alike(planned: PlannedGenerator) -> tuple[int, float]:
            return same_steps(len(planned.clips), section, planned.learning_rate)

        return stacks(self.generators, alike, lambda planned: planned.memory, self.budget)

    @property
    def files(self) -> list[Path]:
        """Every checkpoint that the run writes."""
        return [path for planned in self.generators for path in self.files_of(planned)]

    def files_of(self, planned: PlannedGenerator) -> list[Path]:
        """The checkpoints of one generator, the final one last."""
        return [planned.file(self.directory, self.base_name, end) for end in (*self.save_rounds, None)]

    @property
    def would_overwrite(self) -> list[Path]:
        """Those of `files` that are there already."""
        return [path for path in self.files if is_named(path)]

    @property
    def disk_bytes(self) -> int:
        """Bytes of all checkpoints together."""
        return sum(planned.bytes for planned in self.generators) * (len(self.save_rounds) + 1)

    @property
    def memory_bytes(self) -> int:
        """Most bytes that the process holds at once."""
        features = self.encoder.shape[0] * self.encoder.shape[1]
        embeddings = max(len(planned.clips) for planned in self.generators) * features * 4
        stack = max(sum(planned.memory for planned in stack) for stack in self.stacks)
        # A projection is fitted on the embeddings and on a centred copy of them.
        return BASELINE_BYTES + stack + 2 * embeddings


def plan_generators(loaded: LoadedProfile, node_ids: Sequence[int] | None = None) -> GeneratorPlan:
    """Plan RUN 1 from a profile. Reads metadata alone: no audio is decoded, nothing is written.

    Args:
        loaded: the profile.
        node_ids: nodes that are trained; None for all.

    Raises:
        UsageError: the profile says nothing that can be trained, or a node is not in it.
        MissingError: data, weights or a device are not there.
        FailedError: a generator has too few clips.
    """
    whole = loaded.profile
    if whole.generator.granularity == "auto":
        raise UsageError(
            f"profile {loaded.name} leaves the granularity to the checkpoints (auto), which this command makes",
            hint="feda2v train-generators -g unified, -g per_class or -g per_group",
        )
    directory, base_name = whole.generator_dir, whole.base_name
    assert directory is not None
    assert base_name is not None
    profile = choose_nodes(whole, node_ids)
    cache_directory(profile)
    device = choose_device(profile.experiment.device)
    encoder = make_encoder(profile.embedding, device)
    nodes = clips_of_nodes(profile)
    sections = {node.id: node for node in profile.nodes}
    held = {node.node_id: node for node in nodes}
    generators = tuple(
        _planned(spec, sections[spec.node], held[spec.node], encoder, profile) for spec in generator_specs(profile)
    )
    _check_clips(generators, profile)
    rounds, epochs = rounds_and_epochs(profile.generator)
    every = profile.checkpoint.every
    return GeneratorPlan(
        profile=profile,
        whole=whole,
        directory=directory,
        base_name=base_name,
        encoder=encoder,
        device=device,
        budget=memory_budget(profile.experiment.memory, device),
        rounds=rounds,
        epochs=epochs,
        save_rounds=tuple(range(every, rounds + 1, every)) if every else (),
        nodes=nodes,
        generators=generators,
    )


def _planned(
    spec: GeneratorSpec, node: NodeSection, held: NodeClips, encoder: Encoder, profile: Profile
) -> PlannedGenerator:
    section = profile.generator
    clips = tuple(clip for clip in held.train if clip.class_name in spec.classes)
    features = encoder.shape[0] * encoder.shape[1]
    samples_per_class = Counter(clip.class_name for clip in clips)
    counts = {name: samples_per_class[name] for name in spec.classes}
    parameters = sum(math.prod(shape) for shape in largest_shapes(counts, features, section).values())
    return PlannedGenerator(
        spec=spec,
        node=node,
        clips=clips,
        samples_per_class=dict(samples_per_class),
        learning_rate=node.learning_rate or section.learning_rate,
        parameters=parameters,
        bytes=4 * parameters + CHECKPOINT_OVERHEAD_BYTES,
        memory=cost(counts, features, section).bytes,
    )


def _check_clips(generators: Sequence[PlannedGenerator], profile: Profile) -> None:
    few = [planned for planned in generators if len(planned.clips) < 2]
    if few:
        raise FailedError(
            "a generator needs at least 2 clips",
            [f"{planned.spec} has {len(planned.clips)} in folds {profile.data.train_folds}" for planned in few],
            hint="give it more clips, or leave its class out with train_classes of its node",
        )
