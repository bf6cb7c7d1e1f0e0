"""What RUN 1 is going to do: which generators, from which clips, into which files, at what cost."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import torch

from feda2v_cli.checkpoint.name import GeneratorName
from feda2v_cli.counted import counted
from feda2v_cli.data.clip import Clip
from feda2v_cli.data.nodes import NodeClips, clips_of_nodes
from feda2v_cli.embedding.encoder import Encoder, make_encoder, node_encoders
from feda2v_cli.engine.free_memory import available_bytes
from feda2v_cli.engine.memory import Cost, memory_budget, stacks
from feda2v_cli.errors import FailedError, UsageError, closest
from feda2v_cli.generator.granularity import GeneratorSpec, generator_specs
from feda2v_cli.generator.registry import cost, largest_shapes, rounds_and_epochs, same_steps, set_up_bytes
from feda2v_cli.job.machine import BASELINE_BYTES, CHECKPOINT_OVERHEAD_BYTES, choose_device
from feda2v_cli.job.nodes import cache_directory, choose_nodes
from feda2v_cli.job.public_basis import public_clips
from feda2v_cli.paths import is_named
from feda2v_cli.profile.load import LoadedProfile
from feda2v_cli.profile.schema import NodeSection, Profile
from feda2v_cli.run.trackers.registry import require_trackers
from feda2v_cli.threads import threads_of_large_operations

#: What to do about a class of which there is too little.
MORE_CLIPS = "give it more clips, or leave its class out with train_classes of its node"
#: Share of the budget that training sets may take together while they are made.
SET_UP_SHARE = 0.25


@dataclass(frozen=True)
class PlannedGenerator:
    """One generator that is to be trained.

    Attributes:
        spec: which one.
        node: its node's section of the profile.
        encoder: makes the embeddings of its node.
        clips: that train it.
        samples_per_class: clips of each class.
        learning_rate: of its training.
        parameters: numbers that its checkpoint will hold, at most.
        bytes: of its checkpoint, at most.
        cost: of its training.
        set_up_bytes: of the host's memory, while its training set is made.
    """

    spec: GeneratorSpec
    node: NodeSection
    encoder: Encoder
    clips: tuple[Clip, ...]
    samples_per_class: dict[str, int]
    learning_rate: float
    parameters: int
    bytes: int
    cost: Cost
    set_up_bytes: int

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
        encoder: of all nodes; of the profile where they differ in their tokens.
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

        if self.device.type != "cuda":
            return stacks(self.generators, alike, lambda planned: planned.cost.bytes, self.budget)
        # What stays beside the training stays in the host's memory, and is no matter of the GPU's.
        held = max(planned.cost.held for planned in self.generators)
        widest = max(1, memory_budget("auto", torch.device("cpu")) // max(1, held))
        return stacks(self.generators, alike, lambda planned: planned.cost.trained, self.budget, widest)

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
        """Most bytes of the host's memory that the process holds at once, about."""
        on_host = self.device.type != "cuda"
        stack = max(
            sum(planned.cost.held + on_host * planned.cost.trained for planned in stack) for stack in self.stacks
        )
        return BASELINE_BYTES + stack + self.set_ups_at_once * max(planned.set_up_bytes for planned in self.generators)

    @property
    def set_ups_at_once(self) -> int:
        """How many generators' training sets are made side by side: one a core, within a part of the budget."""
        largest = max(planned.set_up_bytes for planned in self.generators)
        fitting = int(SET_UP_SHARE * self.budget / largest)
        return max(1, min(threads_of_large_operations(), len(self.generators), fitting))


def plan_generators(
    loaded: LoadedProfile, node_ids: Sequence[int] | None = None, keys: Sequence[str] | None = None
) -> GeneratorPlan:
    """Plan RUN 1 from a profile. Reads metadata alone: no audio is decoded, nothing is written.

    Args:
        loaded: the profile.
        node_ids: nodes that are trained; None for all.
        keys: classes or groups whose generators are trained; None for all.

    Raises:
        UsageError: the profile says nothing that can be trained, or a node or key is not in it.
        MissingError: data, weights or a device are not there.
        FailedError: a generator has too few clips, or is too large for this machine.
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
    require_trackers(profile.tracking)
    cache_directory(profile)
    if profile.generator.projection == "public":
        public_clips(profile)  # wrong ones are told before the node's own are read
    device = choose_device(profile.experiment.device)
    encoder = make_encoder(profile.embedding, device)
    specs = _choose(generator_specs(profile), keys)
    profile = choose_nodes(profile, list(dict.fromkeys(spec.node for spec in specs)))
    nodes = clips_of_nodes(profile)
    encoders = node_encoders(encoder, profile)
    sections = {node.id: node for node in profile.nodes}
    held = {node.node_id: node for node in nodes}
    generators = tuple(
        _planned(spec, sections[spec.node], held[spec.node], encoders[spec.node], profile) for spec in specs
    )
    _check_clips(generators, held, profile.generator.fewest_clips)
    _check_memory(generators, device)
    rounds, epochs = rounds_and_epochs(profile.generator)
    every = profile.checkpoint.every
    return GeneratorPlan(
        profile=profile,
        whole=whole,
        directory=directory,
        base_name=base_name,
        encoder=encoders[None],
        device=device,
        budget=memory_budget(profile.experiment.memory, device),
        rounds=rounds,
        epochs=epochs,
        save_rounds=tuple(range(every, rounds + 1, every)) if every else (),
        nodes=nodes,
        generators=generators,
    )


def _choose(specs: Sequence[GeneratorSpec], keys: Sequence[str] | None) -> Sequence[GeneratorSpec]:
    """The generators with some keys; None keeps all."""
    if keys is None:
        return specs
    if not keys:
        raise UsageError("--keys names no class or group", hint="leave --keys out")
    known = list(dict.fromkeys(spec.key for spec in specs if spec.key is not None))
    for key in keys:
        if key not in known:
            near = closest(key, known)
            raise UsageError(
                f"--keys {key} — no generator of these nodes has this key",
                [f"they are {', '.join(known)}" if known else "generators of all classes of a node have none"]
                + ([f"did you mean {near}?"] if near else []),
                hint=f"--keys {near or known[0]}" if known else "leave --keys out",
            )
    return [spec for spec in specs if spec.key in keys]


def _planned(
    spec: GeneratorSpec, node: NodeSection, held: NodeClips, encoder: Encoder, profile: Profile
) -> PlannedGenerator:
    section = profile.generator
    clips = tuple(clip for clip in held.train if clip.class_name in spec.classes)
    features = encoder.shape[0] * encoder.shape[1]
    samples_per_class = Counter(clip.class_name for clip in clips)
    counts = {name: samples_per_class[name] for name in spec.classes}
    parameters = sum(math.prod(shape) for shape in largest_shapes(counts, features, section, encoder.shape[1]).values())
    return PlannedGenerator(
        spec=spec,
        node=node,
        encoder=encoder,
        clips=clips,
        samples_per_class=dict(samples_per_class),
        learning_rate=node.learning_rate or section.learning_rate,
        parameters=parameters,
        bytes=4 * parameters + CHECKPOINT_OVERHEAD_BYTES,
        cost=cost(counts, features, section),
        set_up_bytes=set_up_bytes(counts, features, section),
    )


def _check_clips(generators: Sequence[PlannedGenerator], held: Mapping[int, NodeClips], fewest: int) -> None:
    told = [
        f"node {planned.spec.node}: class {name} has {counted(count, 'clip')} that train: "
        f"{held[planned.spec.node].split}"
        for planned in generators
        for name in planned.spec.classes
        if (count := planned.samples_per_class.get(name, 0)) < fewest
    ]
    if told:
        raise FailedError(
            f"a class needs at least {fewest} clips, generator.fewest_clips: of fewer, a generator tells each of them",
            told,
            hint=f"{MORE_CLIPS}; --set generator.fewest_clips=1 shares what tells them",
        )
    few = [planned for planned in generators if len(planned.clips) < 2]
    if few:
        raise FailedError(
            "a generator needs at least 2 clips",
            [f"{planned.spec} has {len(planned.clips)} that train: {held[planned.spec.node].split}" for planned in few],
            hint=MORE_CLIPS,
        )


def _check_memory(generators: Sequence[PlannedGenerator], device: torch.device) -> None:
    free = available_bytes()
    for planned in generators:
        needed = planned.cost.held + planned.set_up_bytes + (planned.cost.trained if device.type != "cuda" else 0)
        if needed > free:
            raise FailedError(
                f"{planned.spec} alone needs about {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free",
                hint="make it smaller: --set generator.hidden=64",
            )
