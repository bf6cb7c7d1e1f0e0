"""The three granularities side by side: trained on the same clips, evaluated, and federated."""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, get_args

from feda2v_cli.checkpoint.name import Granularity
from feda2v_cli.data.nodes import clips_of_nodes
from feda2v_cli.embedding.encoder import make_encoder, node_encoders
from feda2v_cli.engine.memory import memory_budget
from feda2v_cli.errors import FailedError, OverwriteError, RunInterrupted, UsageError
from feda2v_cli.job.compare.picture import draw_comparison, require_matplotlib
from feda2v_cli.job.compare.processes import Part, run_parts
from feda2v_cli.job.compare.report import Row, markdown
from feda2v_cli.job.evaluate.map import EmbeddingMap
from feda2v_cli.job.evaluate.run import Evaluation, evaluate
from feda2v_cli.job.federate.run import federate
from feda2v_cli.job.machine import BASELINE_BYTES, choose_device, device_name
from feda2v_cli.job.nodes import embed_each_node
from feda2v_cli.job.train_generators.plan import plan_generators
from feda2v_cli.job.train_generators.run import TrainedGenerators, train_generators
from feda2v_cli.paths import is_named
from feda2v_cli.profile.generator_names import BASE_NAMES
from feda2v_cli.profile.load import LoadedProfile, load_profile, resolved_toml
from feda2v_cli.profile.schema import Profile, Tokens
from feda2v_cli.quality.verdict import Figure
from feda2v_cli.run.directory import RunDirectory
from feda2v_cli.run.event import Listener, Noted, RunStarted, ignore_event
from feda2v_cli.run.json_text import json_text
from feda2v_cli.run.record import INNER_RUNS
from feda2v_cli.threads import small_operations, threads_of_large_operations

#: In the order of the table: the coarsest first.
GRANULARITIES: tuple[Granularity, ...] = get_args(Granularity)
#: Fewer rounds than a federation has by default: the accuracies are compared with each other alone.
FEDERATION_ROUNDS = 15
WITHOUT_SAMPLES = "without samples"
ONE_SHOT = "one shot"
#: Whose generators that federation takes.
OF_ONE_SHOT = GRANULARITIES[0]
#: Of all clips, that a part holds at once: as they come, standardised, and on their way to either.
COPIES_OF_EMBEDDINGS = 4
#: What is left for a training when memory is shared.
SMALLEST_TRAINING_BYTES = 256 * 1024**2
REPORT, DATA, PICTURE = "comparison.md", "comparison.json", "comparison.png"


@dataclass(frozen=True)
class Comparison:
    """The granularities, measured.

    Attributes:
        run_dir: directory of the run; those of what it trained, evaluated and federated lie in its `runs/`.
        rows: one a granularity.
        without_samples: accuracy of the federation that exchanges parameters alone.
        one_shot: accuracy of the one that exchanges the generators of the first row alone; None without samples.
        setting: clips, rounds and seeds that the figures were measured with.
        seconds: that all of it took.
        files: what was written.
    """

    run_dir: Path
    rows: tuple[Row, ...]
    without_samples: float
    one_shot: float | None
    setting: dict[str, Any]
    seconds: float
    files: tuple[Path, ...]

    def to_dict(self) -> dict[str, Any]:
        """What the command prints under --json, and writes."""
        return {
            "run_dir": str(self.run_dir),
            "table": [row.to_dict() for row in self.rows],
            "without_samples": {"accuracy": self.without_samples},
            "one_shot": None if self.one_shot is None else {"accuracy": self.one_shot},
            "setting": self.setting,
            "seconds": self.seconds,
            "files": [str(path) for path in self.files],
        }


@small_operations()
def compare(
    profile: str = "unified",
    *,
    output: Path | str = "comparison",
    settings: Sequence[str] = (),
    flags: dict[str, tuple[str, Any]] | None = None,
    rounds: int = FEDERATION_ROUNDS,
    picture: bool = True,
    force: bool = False,
    side_by_side: int | None = None,
    command: Sequence[str] = ("compare",),
    listener: Listener = ignore_event,
) -> Comparison:
    """Train generators of each granularity on the same clips, evaluate them, and federate with their samples.

    Args:
        profile: name or path of a profile; it says everything but the granularity and where files go.
        output: directory of the report and of everything that was trained.
        settings: `key=value`, over the profile.
        flags: options over the settings, as `load_profile` takes them.
        rounds: of each federation.
        picture: whether to draw.
        force: overwrite a comparison that is there.
        side_by_side: trainings, evaluations and federations at once, which changes times alone; None for as many as
            there are cores and memory for.
        command: words of the command line, for the run directory.
        listener: is told what happens, as if they followed each other.

    Raises:
        ProfileError: the profile is invalid for a granularity, such as per_group without groups.
        MissingError: data, weights or a device are not there, or matplotlib for the picture.
        OverwriteError: a comparison is there.
        FailedError: a clip is unreadable, memory or the disk is full, a loss is not finite.
        RunInterrupted: Ctrl-C or SIGTERM.
    """
    started = time.monotonic()
    output = Path(output)
    if picture:
        require_matplotlib()
    files = [output / name for name in (REPORT, DATA, *([PICTURE] if picture else []))]
    there = [str(path) for path in files if is_named(path)]
    if there and not force:
        raise OverwriteError(
            "a comparison is there already", there, hint="--force overwrites, --output DIR writes elsewhere"
        )
    asked = load_profile(profile, settings=settings, flags=flags)
    _refuse_classes_alone(asked)
    profiles = {name: _profile(profile, name, output, settings, flags or {}, rounds) for name in GRANULARITIES}
    others = {
        title: _profile(profile, OF_ONE_SHOT, output, settings, flags or {}, rounds, other=title)
        for title in (WITHOUT_SAMPLES, ONE_SHOT)
        if title != ONE_SHOT or asked.profile.synthetic.per_class != 0
    }
    run = RunDirectory.create(
        asked.profile.experiment.runs,
        "compare",
        command=["feda2v", *command],
        profile=asked.text,
        resolved=resolved_toml(asked),
        kind="compare",
        device=device_name(choose_device(asked.profile.experiment.device)),
    )
    try:
        with run.recording(command, listener) as emit:
            emit(RunStarted(str(run.path)))
            clips = _embed_once(profiles[GRANULARITIES[0]], emit)
            at_once, memory = _share(profiles[GRANULARITIES[0]].profile, clips, side_by_side)
            shared = {name: _within(run, loaded, name, memory) for name, loaded in profiles.items()}
            threads = max(1, threads_of_large_operations() // at_once)
            inner = {title: _within(run, loaded, title.replace(" ", "_"), memory) for title, loaded in others.items()}
            parts = _parts(shared, inner)
            results = run_parts(parts, at_once, threads, listener)
            evaluations: list[Evaluation] = [results[f"{name}: evaluating"] for name in GRANULARITIES]
            rows = [
                _row(
                    name,
                    results[f"{name}: training"],
                    evaluated,
                    _memory(profiles[name]),
                    results[f"{name}: federating"],
                )
                for name, evaluated in zip(GRANULARITIES, evaluations, strict=True)
            ]
            finished = Comparison(
                run_dir=run.path,
                rows=tuple(rows),
                without_samples=results[f"{WITHOUT_SAMPLES}: federating"],
                one_shot=results.get(f"{ONE_SHOT}: federating"),
                setting=_setting(profiles[GRANULARITIES[0]], evaluations[0], rounds),
                seconds=time.monotonic() - started,
                files=tuple(files),
            )
            _write_report(finished, evaluations, output, picture=picture)
            run.finish("done", finished.to_dict())
    except RunInterrupted:
        raise RunInterrupted("interrupted — a comparison starts anew", hint="feda2v compare --force") from None
    return finished


def _refuse_classes_alone(asked: LoadedProfile) -> None:
    """Refuse nodes that differ in their tokens, of which no kind has two classes: no probe could tell samples apart.

    Raises:
        UsageError: there is no such kind.
    """
    kinds: defaultdict[Tokens, set[str]] = defaultdict(set)
    for node in asked.profile.nodes:
        kinds[asked.profile.tokens_of(node)] |= set(node.generated_classes)
    if len(kinds) > 1 and max(map(len, kinds.values())) < 2:
        raise UsageError(
            f"nodes of {asked.name} differ in their tokens, and no two classes have embeddings of as many",
            ["samples are compared by how well they tell classes apart, within embeddings of one kind"],
            hint="the same tokens for nodes of two classes, or feda2v evaluate for each granularity",
        )


def _within(run: RunDirectory, loaded: LoadedProfile, name: str, memory: str) -> LoadedProfile:
    """The same profile for a run that is kept within another, and may take so much memory."""
    own = {"name": name, "runs": run.path / INNER_RUNS, "memory": memory}
    experiment = loaded.profile.experiment.model_copy(update=own)
    return loaded.with_values(loaded.profile.model_copy(update={"experiment": experiment}), "compare")


def _write_report(finished: Comparison, evaluations: Sequence[Evaluation], output: Path, *, picture: bool) -> None:
    _write(
        output / REPORT,
        markdown(
            finished.rows, finished.without_samples, finished.one_shot, finished.setting, PICTURE if picture else None
        ),
    )
    if picture:
        maps = [EmbeddingMap.of(evaluated.points) for evaluated in evaluations]
        draw_comparison(finished.rows, maps, output / PICTURE)
    _write(output / DATA, json_text(finished.to_dict(), indent=2) + "\n")


def _profile(
    profile: str,
    granularity: Granularity,
    output: Path,
    settings: Sequence[str],
    flags: dict[str, tuple[str, Any]],
    rounds: int,
    *,
    other: str | None = None,
) -> LoadedProfile:
    place = output / granularity
    adapters = place if other is None else output / other.replace(" ", "_")
    own: dict[str, tuple[str, Any]] = {
        "compare granularity": ("generator.granularity", granularity),
        "compare generators": ("checkpoint.dir", str(place / "generators")),
        "compare base name": ("checkpoint.base_name", BASE_NAMES[granularity]),
        "compare adapters": ("checkpoint.adapter_dir", str(adapters / "adapters")),
        "compare saves": ("checkpoint.every", 0),
        "compare rounds": ("federation.rounds", rounds),
        "compare evaluations": ("federation.evaluate_every", rounds),
    }
    if other == WITHOUT_SAMPLES:
        own["compare samples"] = ("synthetic.per_class", 0)
    elif other == ONE_SHOT:
        own["compare strategy"] = ("federation.strategy", "one_shot")
    return load_profile(profile, settings=settings, flags=flags | own)


def _embed_once(loaded: LoadedProfile, listener: Listener) -> int:
    """Fill the cache, so that no granularity pays for the embeddings of the others; bytes of all of them."""
    profile = loaded.profile
    encoder = make_encoder(profile.embedding, choose_device(profile.experiment.device))
    nodes = clips_of_nodes(profile)
    if nodes[0].dataset.root is None:
        listener(Noted("no data.root is set: comparing on the built-in sounds (--data-root DIR takes recordings)"))
    embeddings = embed_each_node(nodes, node_encoders(encoder, profile), profile, listener)
    return sum({id(kind): kind.stored.bytes for kind in embeddings.values()}.values())


def _share(profile: Profile, embeddings_bytes: int, side_by_side: int | None) -> tuple[int, str]:
    """How many parts are done at once, and the memory that each may take for training, as profiles have it."""
    device = choose_device(profile.experiment.device)
    if device.type != "cpu":
        return 1, profile.experiment.memory  # one GPU is not quicker with several processes on it
    budget = memory_budget(profile.experiment.memory, device)
    held = BASELINE_BYTES + COPIES_OF_EMBEDDINGS * embeddings_bytes
    at_once = side_by_side or max(1, min(threads_of_large_operations(), budget // (held + SMALLEST_TRAINING_BYTES)))
    if at_once == 1:
        return 1, profile.experiment.memory
    return at_once, f"{max(SMALLEST_TRAINING_BYTES, budget // at_once - held) // 1024**2}MiB"


def _parts(profiles: Mapping[Granularity, LoadedProfile], others: Mapping[str, LoadedProfile]) -> dict[str, Part]:
    parts = {}
    for name, loaded in profiles.items():
        training = f"{name}: training"
        parts[training] = Part(partial(_train, training, loaded))
        parts[f"{name}: evaluating"] = Part(partial(_evaluate, f"{name}: evaluating", loaded), after=training)
        parts[f"{name}: federating"] = Part(partial(_federate, f"{name}: federating", loaded), after=training)
    for title, loaded in others.items():
        after = f"{OF_ONE_SHOT}: training" if title == ONE_SHOT else None
        parts[f"{title}: federating"] = Part(partial(_federate, f"{title}: federating", loaded), after=after)
    return parts


def _train(title: str, loaded: LoadedProfile, listener: Listener) -> TrainedGenerators:
    listener(Noted(title))
    return train_generators(loaded, force=True, command=("compare",), listener=listener)


def _evaluate(title: str, loaded: LoadedProfile, listener: Listener) -> Evaluation:
    listener(Noted(title))
    profile = loaded.profile
    return evaluate(
        profile.generator_dir,
        loaded,
        base_name=profile.base_name,
        profile_named=loaded.argument,
        command=("compare",),
        listener=listener,
    )


def _federate(title: str, loaded: LoadedProfile, listener: Listener) -> float:
    """The accuracy at the end."""
    listener(Noted(title))
    accuracy: float = federate(loaded, force=True, command=("compare",), listener=listener).final["accuracy"]
    return accuracy


def _memory(loaded: LoadedProfile) -> int:
    """Of the node that takes most, as the dry run plans it."""
    plan = plan_generators(loaded)
    of_node = groupby(plan.generators, lambda planned: planned.spec.node)
    return max(replace(plan, generators=tuple(generators)).memory_bytes for _, generators in of_node)


def _row(name: Granularity, trained: TrainedGenerators, evaluated: Evaluation, memory: int, accuracy: float) -> Row:
    generators = Counter(saved.node for saved in trained.checkpoints)
    parameters: defaultdict[int, int] = defaultdict(int)
    disk: defaultdict[int, int] = defaultdict(int)
    for saved in trained.checkpoints:
        parameters[saved.node] += saved.parameters
        disk[saved.node] += saved.bytes
    return Row(
        granularity=name,
        generators_per_node=(min(generators.values()), max(generators.values())),
        parameters_per_node=max(parameters.values()),
        memory_bytes_per_node=memory,
        disk_bytes_per_node=max(disk.values()),
        training_seconds=trained.seconds,
        tstr=_figure(evaluated, "tstr"),
        trtr=_figure(evaluated, "trtr"),
        recall=_figure(evaluated, "recall"),
        kad=_figure(evaluated, "kad"),
        attack=None if evaluated.attack is None else evaluated.attack.auc,
        verdict=evaluated.verdict.word,
        accuracy=accuracy,
    )


def _figure(evaluated: Evaluation, name: str) -> Figure:
    figure = evaluated.overall[name]
    if figure is None:
        raise FailedError(
            f"{name} has no meaning for these clips: at least two classes and two clips held out are needed",
            hint="feda2v profiles show unified",
        )
    return figure


def _setting(loaded: LoadedProfile, evaluated: Evaluation, rounds: int) -> dict[str, Any]:
    profile = loaded.profile
    section = profile.generator
    return {
        "profile": loaded.name,
        "data": "the built-in sounds" if profile.data.root is None else str(profile.data.root),
        "nodes": len(profile.nodes),
        "classes": len(profile.classes),
        "clips_trained": evaluated.trained,
        "clips_held_out": evaluated.held_out,
        "generator_type": section.type,
        "epochs": section.rounds * section.epochs,
        "draws": evaluated.draws,
        "federation_rounds": rounds,
        "local_epochs": profile.federation.local_epochs,
        "samples_per_class": profile.synthetic.per_class,
        "seed": profile.experiment.seed,
    }


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FailedError(
            f"{path} cannot be written — {error.strerror}", hint="--output DIR writes elsewhere"
        ) from error
