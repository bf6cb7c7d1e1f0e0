"""What RUN 2 is going to do: which nodes, which generators, which adapters, into which files, at what cost."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from feda2v_cli.checkpoint.name import adapter_filename
from feda2v_cli.counted import told_counts
from feda2v_cli.data.nodes import NodeClips, check_held_out, clips_of_nodes
from feda2v_cli.embedding.encoder import Encoder, make_encoder, node_encoders
from feda2v_cli.embedding.target import CODES, PIPELINE, Targets, TextSources, make_targets
from feda2v_cli.engine.free_memory import available_bytes
from feda2v_cli.engine.memory import memory_budget
from feda2v_cli.engine.stack import BYTES_PER_WEIGHT
from feda2v_cli.errors import FailedError, UsageError
from feda2v_cli.federation.inputs import HELD_BYTES
from feda2v_cli.federation.space import Space
from feda2v_cli.federation.strategy.registry import make_strategy
from feda2v_cli.federation.strategy.strategy import Owner, Strategy
from feda2v_cli.job.federate.find_generators import GeneratorSet, find_generators
from feda2v_cli.job.federate.trained import TrainedAdapters, load_trained
from feda2v_cli.job.images.maker import MakerPlan, plan_maker
from feda2v_cli.job.machine import BASELINE_BYTES, CHECKPOINT_OVERHEAD_BYTES, choose_device
from feda2v_cli.job.nodes import cache_directory, choose_nodes
from feda2v_cli.paths import is_named
from feda2v_cli.profile.load import LoadedProfile
from feda2v_cli.profile.schema import Profile
from feda2v_cli.run.trackers.registry import require_trackers
from feda2v_cli.verifier.expectation import Expectation
from feda2v_cli.verifier.finding import Finding


@dataclass(frozen=True)
class FederationPlan:
    """RUN 2 before it runs.

    Attributes:
        profile: of the run, with the nodes that take part.
        whole: the profile with all of its nodes.
        encoders: of each node, by its id: the same, or the same with tokens of its own. By None that of all, or the
            profile's where they differ.
        targets: of all classes.
        spaces: adapters and targets.
        device: where training happens.
        budget: bytes that training may take.
        nodes: and their clips; empty where the clips are on other machines.
        generators: of the samples; None when none are used, or while they are on other machines.
        maker: of the pictures during the rounds; None for none.
        trained: adapters that are evaluated as they are; None when the run trains its own.
    """

    profile: Profile
    whole: Profile
    encoders: Mapping[Owner, Encoder]
    targets: Targets
    spaces: tuple[Space, ...]
    device: torch.device
    budget: int
    nodes: tuple[NodeClips, ...]
    generators: GeneratorSet | None
    maker: MakerPlan | None
    trained: TrainedAdapters | None

    @property
    def encoder(self) -> Encoder:
        """Of all nodes; the profile's where they differ."""
        return self.encoders[None]

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the federation, sorted."""
        return self.profile.classes

    @property
    def targets_source(self) -> dict[str, str]:
        """What the profile calls the text encoder, so that pictures find it again; nothing for codes."""
        called = self.profile.adapter.targets
        if called == CODES:
            return {}
        pipeline = self.profile.images.pipeline
        return {"source": called} | ({"pipeline": pipeline} if called == PIPELINE and pipeline else {})

    @property
    def strategy(self) -> Strategy:
        """How the nodes' adapters become the server's."""
        return make_strategy(self.profile.federation)

    def samples_per_class(self, node: NodeClips) -> int:
        """Samples of each class that a node takes from the others."""
        told = self.told_clips(node)
        return self.samples_of(sum(told.values()), len(told))

    def told_clips(self, node: NodeClips) -> dict[str, int]:
        """How many clips of each class a node tells that it has, by which it counts."""
        return told_counts((clip.class_name for clip in node.train), self.profile.checkpoint.round_counts)

    def rounded_clips(self, node: NodeClips) -> int | None:
        """How many clips a node tells of where counts are rounded; None where they are not."""
        return None if self.profile.checkpoint.round_counts == 1 else sum(self.told_clips(node).values())

    def samples_of(self, clips: int, classes: int) -> int:
        """Samples of each class that a node takes from the others.

        Args:
            clips: that it tells it trains on.
            classes: of these clips.
        """
        wanted = self.profile.synthetic.per_class
        if self.generators is None:
            return 0
        return max(1, clips // classes) if wanted == "auto" else wanted

    @property
    def owners(self) -> list[Owner]:
        """Whose adapters there are at the end; None is the server."""
        if self.trained is not None:
            return self.trained.owners
        return self.strategy.saved([node.id for node in self.profile.nodes])

    def file_of(self, owner: Owner) -> Path:
        """Checkpoint of a node's adapters, or of the server's."""
        section = self.profile.checkpoint
        return section.adapter_dir / adapter_filename(section.adapter_base_name, owner)

    @property
    def files(self) -> list[Path]:
        """Every checkpoint that the run writes."""
        if self.trained is not None or not self.profile.checkpoint.save_adapters:
            return []
        return [self.file_of(owner) for owner in self.owners]

    @property
    def would_overwrite(self) -> list[Path]:
        """Those of `files` that are there already."""
        return [path for path in self.files if is_named(path)]

    @property
    def parameters(self) -> int:
        """Numbers that train on a node, in the adapters to all spaces."""
        return sum(torch.Size(shape).numel() for space in self.spaces for shape in space.shapes.values())

    @property
    def disk_bytes(self) -> int:
        """Bytes of all checkpoints together."""
        fixed = sum(4 * (space.centre.numel() + 1) for space in self.spaces) + 8 * self.encoder.shape[1]
        return len(self.files) * (4 * self.parameters + fixed + CHECKPOINT_OVERHEAD_BYTES)

    @property
    def memory_bytes(self) -> int:
        """Most bytes that the process holds at once, about."""
        features = max(encoder.shape[0] * encoder.shape[1] for encoder in self.encoders.values())
        clips = sum(len(node.used) for node in self.nodes)
        samples = 2 * len(self.classes) * max(map(self.samples_per_class, self.nodes), default=0)
        stack = min(self.budget, len(self.nodes) * self.parameters * BYTES_PER_WEIGHT)
        # What is larger stays on the disk.
        embeddings = min(4 * features * 2 * clips, 2 * HELD_BYTES) + min(4 * features * 3 * samples, HELD_BYTES)
        return BASELINE_BYTES + embeddings + stack


def plan_federation(
    loaded: LoadedProfile,
    node_ids: Sequence[int] | None = None,
    *,
    command: Sequence[str] = ("federate",),
    on_warning: Callable[[Finding], None] = lambda finding: None,  # noqa: ARG005 - nobody listens
) -> FederationPlan:
    """Plan RUN 2 from a profile. Verifies and loads the generators; decodes no audio and writes nothing.

    Args:
        loaded: the profile.
        node_ids: nodes that take part; None for all.
        command: words of the command line, for hints.
        on_warning: is told what the verifier warns of.

    Raises:
        UsageError: the profile says nothing that can be run, a node is not in it, several generators would do, or the
            pipeline of its pictures takes no such targets.
        MissingError: data, weights, targets, generators, a pipeline or a device are not there.
        FindingsError: the generators are not what the profile asks for.
        FailedError: the dictionary file cannot be used, or an adapter is too large for this machine.
    """
    whole = loaded.profile
    profile = choose_nodes(whole, node_ids)
    require_trackers(profile.tracking)
    strategy = make_strategy(profile.federation)
    if profile.federation.rounds:
        strategy.check(profile)
    if profile.federation.standardise == "samples" and profile.federation.rounds and not needs_samples(profile):
        raise UsageError(
            'federation.standardise = "samples", and this run uses no samples',
            [f"strategy {strategy.name}, synthetic.per_class {profile.synthetic.per_class}"],
            hint="--set federation.standardise=clips, or --synthetic-per-class 10",
        )
    elsewhere = profile.federation.engine == "flower"
    if elsewhere and profile.synthetic.match == "class" and needs_samples(profile):
        raise UsageError(
            'synthetic.match = "class" with engine flower — a node gives the generators that it has trained itself',
            hint="--engine local, where all generators lie",
        )
    if elsewhere and strategy.needs_clips_in_one_place:
        raise UsageError(
            f"strategy {strategy.name} needs all clips in one place, and engine flower moves none",
            hint="--engine local, where the clips are",
        )
    device = choose_device(profile.experiment.device)
    sources = TextSources(profile.images.pipeline, cache_directory(profile), device)
    targets = make_targets(profile.adapter, profile.classes, sources)
    encoders = node_encoders(make_encoder(profile.embedding, device), profile)
    encoder = encoders[None]
    trained = load_trained(profile, encoders, targets)
    if trained is not None:
        adapter = profile.adapter.model_copy(update={"hidden": trained.hidden})
        profile = profile.model_copy(update={"adapter": adapter})
    maker = None
    if profile.images.every:
        if elsewhere:
            raise UsageError(
                "images.every with engine flower — pictures are made of clips, and they are the nodes'",
                hint="--set images.every=0, and feda2v images afterwards on a machine that has clips",
            )
        maker = plan_maker(profile.images, profile.adapter, sources, device)
        maker.check({space: tuple(values.shape[1:]) for space, values in targets.spaces.items()}, "the targets")
    nodes = () if elsewhere else clips_of_nodes(profile)
    if not elsewhere:
        check_held_out(nodes, "accuracy is measured on them")
    generators = None
    if needs_samples(profile) and not elsewhere:
        ids = None if node_ids is None else tuple(node_ids)
        expectation = Expectation.from_profile(loaded, loaded.argument, ids, encoder.identity)
        generators = find_generators(expectation, command, on_warning)
    spaces = tuple(
        Space.of(name, values, encoder.shape[1], profile.adapter.hidden) for name, values in targets.spaces.items()
    )
    _check_memory(spaces, device)
    return FederationPlan(
        profile=profile,
        whole=whole,
        encoders=encoders,
        targets=targets,
        spaces=spaces,
        device=device,
        budget=memory_budget(profile.experiment.memory, device),
        nodes=nodes,
        generators=generators,
        maker=maker,
        trained=trained,
    )


def _check_memory(spaces: Sequence[Space], device: torch.device) -> None:
    free = available_bytes()
    for space in spaces:
        weights = sum(torch.Size(shape).numel() for shape in space.shapes.values())
        needed = 4 * weights if device.type == "cuda" else weights * BYTES_PER_WEIGHT
        if needed > free:
            raise FailedError(
                f"an adapter to {space.name} alone needs about {needed / 1e9:.1f} GB of memory, and "
                f"{free / 1e9:.1f} GB are free",
                hint="make it smaller: --set adapter.hidden=64",
            )


def needs_samples(profile: Profile) -> bool:
    """Whether a run of this profile uses synthetic samples, and so needs generators."""
    uses = make_strategy(profile.federation).sample_uses(profile.synthetic)
    return bool(uses) and profile.federation.rounds > 0 and profile.synthetic.per_class != 0


def standardises_by_samples(profile: Profile) -> bool:
    """Whether samples give the sums that embeddings are standardised with, so that clips give none.

    With one_shot nothing but generators leaves a node, and who asks generators to promise something of every clip gives
    no sums of clips beside them.
    """
    wanted = profile.federation.standardise
    if wanted != "auto":
        return wanted == "samples"
    return needs_samples(profile) and (
        profile.federation.strategy == "one_shot" or profile.synthetic.max_epsilon is not None
    )
