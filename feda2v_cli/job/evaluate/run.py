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
from feda2v_cli.engine.memory import memory_budget
from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.errors import UsageError
from feda2v_cli.job.evaluate.begin import run_on_a_set
from feda2v_cli.job.evaluate.map import EmbeddingMap, Points
from feda2v_cli.job.evaluate.plan import EvaluationPlan
from feda2v_cli.job.evaluate.sources import Source, sources_of, suspects_of
from feda2v_cli.job.nodes import embed_nodes
from feda2v_cli.privacy.advantage import Advantage
from feda2v_cli.privacy.inquiry import attack_files, strongest
from feda2v_cli.profile.load import LoadedProfile
from feda2v_cli.quality.measures import Labelled, Measured, Reference, summarise
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
    emit(Noted(f"evaluating {len(plan.loaded)} generators of {plan.directory}; {plan.encoder.description}"))
    embedded = _embed_all(plan, emit)
    sources = sources_of(plan, embedded, permissive=permissive, emit=emit)
    classes = tuple(sorted({name for source in sources for name in source.generator.classes}))
    reference = _reference(plan, embedded, classes)
    counts = Counter(reference.trained.labels.repeat(samples_per_clip).tolist())
    first = _draw(sources, classes, counts, 0, "generator")
    floor = reference.floor

    def measured(draw: int, which: Which) -> Measured:
        return reference.measure(_draw(sources, classes, counts, draw, which))

    budget = memory_budget(plan.profile.experiment.memory, torch.device("cpu"))
    at_once = max(1, min(threads_of_large_operations(), budget // reference.measuring_bytes(counts.total())))
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
        trained=len(reference.trained.labels),
        held_out=len(reference.held_out.labels),
        overall=overall,
        per_class=per_class,
        attack=None if best is None else attacks[best].overall,
        verdict=verdict(overall, per_class),
        seconds=time.monotonic() - started,
        points=Points(
            classes,
            reference.held_out,
            Labelled((first.values - reference.mean) / reference.scale, first.labels),
        ),
    )


def _embed_all(plan: EvaluationPlan, listener: Listener) -> dict[Clip, Tensor]:
    """Embeddings [features] of every clip that can be read."""
    embeddings = embed_nodes(plan.nodes, plan.encoder, plan.profile, listener)
    return dict(zip(embeddings.clips, embeddings.values.flatten(1), strict=True))


def _reference(plan: EvaluationPlan, embedded: Mapping[Clip, Tensor], classes: Sequence[str]) -> Reference:
    """The clips of these classes that trained, and those held out."""
    trained = {clip: None for node in plan.nodes for clip in node.train}
    held = {clip: None for node in plan.nodes for clip in node.held_out}
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
