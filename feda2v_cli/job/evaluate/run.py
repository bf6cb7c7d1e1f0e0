"""Is a set of generators any good? Its samples are held against clips that it has not seen."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from feda2v_cli.data.clip import Clip
from feda2v_cli.data.nodes import NodeClips
from feda2v_cli.engine.memory import memory_budget
from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.errors import UsageError
from feda2v_cli.job.evaluate.begin import run_on_a_set
from feda2v_cli.job.evaluate.map import EmbeddingMap, Points
from feda2v_cli.job.evaluate.plan import EvaluationPlan
from feda2v_cli.job.evaluate.sources import Embedded, Source, embed_all, sources_of, suspects_of
from feda2v_cli.privacy.advantage import Advantage
from feda2v_cli.privacy.inquiry import attack_files, strongest
from feda2v_cli.profile.load import LoadedProfile
from feda2v_cli.quality.measures import Labelled, Measured, Reference, mean_over_kinds, summarise
from feda2v_cli.quality.verdict import Figure, Verdict, verdict
from feda2v_cli.run.directory import RunDirectory
from feda2v_cli.run.event import Listener, Noted, ignore_event
from feda2v_cli.threads import side_by_side, small_operations, threads_of_large_operations

#: What samples are drawn from: the generators, or the Gaussians fitted to the same clips.
Which = Literal["generator", "baseline"]
#: Draws of samples over which a figure and its interval are taken, unless the caller says otherwise.
DRAWS = 5


@dataclass(frozen=True)
class Evaluation:
    """How good the samples of a set are.

    Attributes:
        run_dir: directory of the run.
        directory: of the set.
        base_name: first part of its files' names.
        granularity: of the run that trained it.
        generator_type: vae or gaussian.
        generators: of each: node, key, and the figures that training stored.
        draws: of samples, each with as many samples of a class as clips trained it, or a multiple of that.
        trained: clips that trained.
        held_out: clips that samples are held against.
        overall: figures of all classes together, by name; None where one has no meaning.
        per_class: the same of each class.
        attack: of the strongest attack that needs a file alone; None where no class has clips held out.
        verdict: the word, and what speaks for it.
        seconds: that it took.
        points: embeddings and what they are, for pictures; not in `to_dict`.
    """

    run_dir: Path
    directory: Path
    base_name: str
    granularity: str
    generator_type: str
    generators: tuple[dict[str, Any], ...]
    draws: int
    trained: int
    held_out: int
    overall: dict[str, Figure | None]
    per_class: dict[str, dict[str, Figure | None]]
    attack: Advantage | None
    verdict: Verdict
    seconds: float
    points: Points

    def to_dict(self) -> dict[str, Any]:
        """What the command prints under --json."""
        return {
            "run_dir": str(self.run_dir),
            "directory": str(self.directory),
            "base_name": self.base_name,
            "granularity": self.granularity,
            "generator_type": self.generator_type,
            "generators": list(self.generators),
            "draws": self.draws,
            "clips": {"trained": self.trained, "held_out": self.held_out},
            "overall": _plain(self.overall),
            "per_class": {name: _plain(figures) for name, figures in self.per_class.items()},
            "attack": None if self.attack is None else vars(self.attack),
            "verdict": self.verdict.word,
            "reasons": list(self.verdict.reasons),
            "seconds": self.seconds,
        }

    def summary(self) -> dict[str, Any]:
        """All of it, and a map of its points, as the run directory keeps it."""
        return self.to_dict() | {"map": EmbeddingMap.of(self.points).to_dict()}


@small_operations()
def evaluate(
    directory: Path | str | None = None,
    profile: LoadedProfile | str | None = None,
    *,
    base_name: str | None = None,
    profile_named: str | None = None,
    draws: int = DRAWS,
    permissive: bool = False,
    held_out: Sequence[Clip] | None = None,
    samples_per_clip: int = 1,
    command: Sequence[str] = ("evaluate",),
    listener: Listener = ignore_event,
) -> Evaluation:
    """Hold samples of a set of generators against the clips held out.

    >>> evaluate("checkpoints/generators").verdict.word  # doctest: +SKIP
    'sound'

    Args:
        directory: where the set lies; None for the one set under checkpoints/.
        profile: a loaded profile, or the name or path of one. Without one, nodes, folds and encoder are those that the
            checkpoints name.
        base_name: which set of a directory that holds several.
        profile_named: what the user called a loaded profile; None when nodes, folds and encoder are to be those that
            the checkpoints name.
        draws: of samples, over which figures and intervals are taken; at least two.
        permissive: only warn when the clips are not those that trained.
        held_out: clips that samples are held against; None for those of the folds held out.
        samples_per_clip: samples of a class in a draw, for each clip of it that trained; more of them say more of the
            generator and less of the chance of a draw.
        command: words of the command line, for the run directory.
        listener: is told what happens.

    Raises:
        MissingError: there is no set, or data or weights are not there.
        UsageError: several sets would do, fewer than two draws or no sample a clip, or a clip of `held_out` trained the
            generators or is of no class that they make.
        FindingsError: the set is not sound, not what the profile asks for, or was trained on other clips.
        FailedError: a clip is unreadable.
    """
    started = time.monotonic()
    if draws < 2:
        raise UsageError(f"{draws} draws give no interval — expected at least 2", hint=f"--seeds {DRAWS}")
    if samples_per_clip < 1:
        raise UsageError(f"{samples_per_clip} samples a clip — expected at least 1")
    with run_on_a_set(
        "evaluate",
        directory,
        profile,
        base_name=base_name,
        profile_named=profile_named,
        held_out=held_out,
        command=command,
        listener=listener,
    ) as (plan, run, emit):
        evaluated = _evaluate(
            plan, run, draws=draws, permissive=permissive, samples_per_clip=samples_per_clip, emit=emit, started=started
        )
        run.finish("done", evaluated.summary())
    return evaluated


def _evaluate(
    plan: EvaluationPlan,
    run: RunDirectory,
    *,
    draws: int,
    permissive: bool,
    samples_per_clip: int,
    emit: Listener,
    started: float,
) -> Evaluation:
    emit(Noted(f"evaluating {len(plan.loaded)} generators of {plan.directory}; {plan.encoders[None].description}"))
    embedded = embed_all(plan, emit)
    sources = sources_of(plan, embedded, permissive=permissive, emit=emit)
    kinds = _kinds(plan, sources, embedded, samples_per_clip)
    if kinds[1:]:
        tokens = ", ".join(str(kind.tokens) for kind in kinds)
        emit(Noted(f"embeddings of {tokens} tokens: figures are taken within each kind, and their mean is shown"))
    floor = mean_over_kinds([(kind.reference, kind.reference.floor) for kind in kinds])

    def measured(draw: int, which: Which) -> Measured:
        return mean_over_kinds([(kind.reference, kind.reference.measure(kind.draw(draw, which))) for kind in kinds])

    budget = memory_budget(plan.profile.experiment.memory, torch.device("cpu"))
    largest = max(kind.reference.measuring_bytes(kind.counts.total()) for kind in kinds)
    at_once = max(1, min(threads_of_large_operations(), budget // largest))
    measuring = [partial(measured, draw, which) for draw in range(draws) for which in get_args(Which)]
    drawn, drawn_baseline = [], []
    with closing(side_by_side(measuring, at_once)) as measurements:
        for draw in range(draws):
            drawn.append(next(measurements))
            drawn_baseline.append(next(measurements))
            emit(Noted(f"draw {draw + 1} of {draws} is measured"))
    overall, per_class = summarise(drawn, drawn_baseline, floor)
    attacks = attack_files(suspects_of(plan, sources, embedded))
    best = strongest(attacks)
    metadata = sources[0].metadata
    return Evaluation(
        run_dir=run.path,
        directory=plan.directory,
        base_name=metadata.base_name,
        granularity=metadata.run_granularity,
        generator_type=metadata.generator_type,
        generators=tuple(
            {
                "node": source.metadata.node_id,
                "key": source.metadata.generator_key,
                "quality": source.metadata.quality or {},
            }
            for source in sources
        ),
        draws=draws,
        trained=sum(len(kind.reference.trained.labels) for kind in kinds),
        held_out=sum(len(kind.reference.held_out.labels) for kind in kinds),
        overall=overall,
        per_class=per_class,
        attack=None if best is None else attacks[best].overall,
        verdict=verdict(overall, per_class),
        seconds=time.monotonic() - started,
        points=_points(kinds),
    )


@dataclass(frozen=True)
class _Kind:
    """Generators whose samples have as many tokens, and clips with as many. Figures compare embeddings of one kind.

    Attributes:
        sources: the generators.
        reference: the clips of their nodes.
        counts: samples of a draw, by the class's index in the reference.
        tokens: of an embedding.
    """

    sources: tuple[Source, ...]
    reference: Reference
    counts: Counter[int]
    tokens: int

    def draw(self, number: int, which: Which) -> Labelled:
        """Samples of a draw, or of its baseline."""
        return _draw(self.sources, self.reference.classes, self.counts, number, which)


def _kinds(
    plan: EvaluationPlan, sources: Sequence[Source], embedded: Embedded, samples_per_clip: int
) -> tuple[_Kind, ...]:
    kinds = []
    for encoder in dict.fromkeys(plan.encoders[node.node_id] for node in plan.nodes):
        nodes = [node for node in plan.nodes if plan.encoders[node.node_id] is encoder]
        own = tuple(source for source in sources if plan.encoders[source.metadata.node_id] is encoder)
        classes = tuple(sorted({name for source in own for name in source.generator.classes}))
        if own:
            reference = _reference(nodes, embedded[nodes[0].node_id], classes)
            counts = Counter(reference.trained.labels.repeat(samples_per_clip).tolist())
            kinds.append(_Kind(own, reference, counts, encoder.shape[0]))
    return tuple(kinds)


def _points(kinds: Sequence[_Kind]) -> Points:
    """Clips and samples of the map; of several kinds the means over their tokens, which all have."""
    classes = tuple(sorted({name for kind in kinds for name in kind.reference.classes}))
    clips: list[Labelled] = []
    samples: list[Labelled] = []
    for kind in kinds:
        reference, first = kind.reference, kind.draw(0, "generator")
        labels = torch.tensor([classes.index(name) for name in reference.classes])
        standardised = (first.values - reference.mean) / reference.scale
        for side, values, own in (
            (clips, reference.held_out.values, reference.held_out.labels),
            (samples, standardised, first.labels),
        ):
            shown = values if len(kinds) == 1 else values.view(len(values), kind.tokens, -1).mean(1)
            side.append(Labelled(shown, labels[own]))
    return Points(classes, Labelled.joined(clips), Labelled.joined(samples))


def _reference(nodes: Sequence[NodeClips], embedded: Mapping[Clip, Tensor], classes: Sequence[str]) -> Reference:
    """The clips of these classes that trained, and those held out."""
    trained = {clip: None for node in nodes for clip in node.train}
    held = {clip: None for node in nodes for clip in node.held_out}
    sides = (
        _labelled([clip for clip in side if clip.class_name in classes and clip in embedded], embedded, classes)
        for side in (trained, held)
    )
    return Reference.of(classes, *sides)


def _labelled(clips: Sequence[Clip], embedded: Mapping[Clip, Tensor], classes: Sequence[str]) -> Labelled:
    labels = torch.tensor([classes.index(clip.class_name) for clip in clips], dtype=torch.long)
    return Labelled(torch.stack([embedded[clip] for clip in clips]), labels)


def _draw(
    sources: Sequence[Source],
    classes: Sequence[str],
    counts: Counter[int],
    draw: int,
    which: Which,
) -> Labelled:
    """Samples of each class, so many as `counts` says; where several generators make a class, each gives a part."""
    generators = {name: [source for source in sources if name in source.generator.classes] for name in classes}
    parts, labels = [], []
    for source in sources:
        wanted = {}
        for label, name in enumerate(classes):
            if source in generators[name]:
                place, share = generators[name].index(source), len(generators[name])
                wanted[name] = counts[label] // share + (place < counts[label] % share)
        names = list(chain.from_iterable([name] * count for name, count in wanted.items()))
        random = random_stream(draw, "evaluate", source.metadata.node_id, source.metadata.generator_key)
        generator = source.generator if which == "generator" else source.baseline
        parts.append(generator.sample(names, random.initial_seed()).flatten(1))
        labels += [classes.index(name) for name in names]
    return Labelled(torch.cat(parts), torch.tensor(labels))


def _plain(figures: dict[str, Figure | None]) -> dict[str, Any]:
    return {name: None if figure is None else vars(figure) for name, figure in figures.items()}
