"""RUN 2: train adapters over all nodes, with synthetic samples from verified generators."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from feda2v_cli.atomic_write import remove_leftovers
from feda2v_cli.checkpoint.lock import lock_nodes
from feda2v_cli.embedding.target import CODES
from feda2v_cli.errors import UsageError
from feda2v_cli.federation.engine import Engine
from feda2v_cli.federation.setup import Setup
from feda2v_cli.flower.process import require_flower
from feda2v_cli.job.federate.plan import FederationPlan, plan_federation
from feda2v_cli.job.federate.rounds import History, ResumableFederation
from feda2v_cli.job.federate.save import save_adapters
from feda2v_cli.job.federate.set_up import set_up_federation
from feda2v_cli.job.files import make_directory, refuse_to_overwrite
from feda2v_cli.job.images.rounds import RoundPictures, picture_owners
from feda2v_cli.job.images.subjects import choose_clips, embed_subjects, lacking
from feda2v_cli.job.inputs import listed_inputs, refuse_other_contents, refuse_other_inputs
from feda2v_cli.job.machine import device_name
from feda2v_cli.job.nodes import embed_each_node
from feda2v_cli.profile.load import LoadedProfile, load_profile, profile_hash, resolved_toml
from feda2v_cli.run.directory import RunDirectory
from feda2v_cli.run.event import Listener, Noted, RunResumed, RunStarted, Warned, ignore_event
from feda2v_cli.run.trackers.registry import tracked
from feda2v_cli.threads import small_operations
from feda2v_cli.verifier.finding import Finding

#: What the chosen strategy is compared with: nothing exchanged, nothing but parameters exchanged, all clips exchanged.
BASELINES = ("none", "fedavg", "central")
#: Compared with where there are samples, unless it is the chosen strategy itself: nothing but generators exchanged.
ONE_SHOT = "one_shot"


@dataclass(frozen=True)
class Federated:
    """What RUN 2 has done.

    Attributes:
        run_dir: its directory.
        strategy: of the federation.
        engine: that ran it.
        seconds: from start to end, of this process.
        rounds: one a round that was evaluated: round, accuracy, node_accuracy, loss.
        final: accuracy, node_accuracy, per_class_accuracy and loss at the end.
        synthetic: which samples the nodes trained on, and how many.
        baselines: of `final`'s form, by name; empty when none were asked for.
        confusion: clips by class and by the class that was retrieved, classes sorted.
        classes: of the federation.
        skipped_rounds: rounds in which too few nodes answered.
        adapters: checkpoints that were written.
    """

    run_dir: Path
    strategy: str
    engine: str
    seconds: float
    rounds: list[dict[str, Any]]
    final: dict[str, Any]
    synthetic: dict[str, Any]
    baselines: dict[str, dict[str, Any]] = field(default_factory=dict)
    confusion: list[list[int]] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    skipped_rounds: list[int] = field(default_factory=list)
    adapters: tuple[Path, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """What the command prints under --json."""
        names = ["run_dir", "strategy", "engine", "seconds", "rounds", "final", "synthetic"]
        return self._plain([*names, "baselines"] if self.baselines else names)

    def summary(self) -> dict[str, Any]:
        """All of it, as the run directory keeps it."""
        return self._plain(list(vars(self)))

    @classmethod
    def from_summary(cls, summary: Mapping[str, Any]) -> Self:
        """What a run has done that has kept this summary."""
        paths = {"run_dir": Path(summary["run_dir"]), "adapters": tuple(map(Path, summary["adapters"]))}
        return cls(**(dict(summary) | paths | {"classes": tuple(summary["classes"])}))

    def _plain(self, names: Sequence[str]) -> dict[str, Any]:
        plain: dict[str, Any] = json.loads(json.dumps({name: getattr(self, name) for name in names}, default=str))
        return plain


@small_operations()
def federate(
    profile: LoadedProfile | str = "use_pretrained",
    *,
    node_ids: Sequence[int] | None = None,
    resume: bool = False,
    force: bool = False,
    baselines: bool = False,
    command: Sequence[str] = ("federate",),
    listener: Listener = ignore_event,
) -> Federated:
    """Train adapters over all nodes, with synthetic samples in place of the clips that may not move.

    >>> federate("use_pretrained").final["accuracy"]  # doctest: +SKIP
    0.925

    Args:
        profile: a loaded profile, or the name or path of one.
        node_ids: nodes that take part; None for all.
        resume: go on with the newest run of this profile, these nodes and generators that has not ended. One that was
            begun with other clips, or another encoder, is refused.
        force: overwrite adapters that are there.
        baselines: also run what the strategy has to be compared with.
        command: words of the command line, for the run directory and for hints.
        listener: is told what happens.

    Raises:
        ProfileError: the profile is invalid.
        UsageError: the profile says nothing that can be run, or several sets of generators would do.
        MissingError: data, weights, targets, generators or a device are not there.
        FindingsError: the generators are not what the profile asks for; nothing was loaded.
        OverwriteError: adapters are there, or another run is writing them.
        FailedError: a clip is unreadable, memory or the disk is full, a loss is not finite, or the clips or the encoder
            of the run to resume have changed.
        RunInterrupted: Ctrl-C or SIGTERM; the run can be resumed.
    """
    started = time.monotonic()
    loaded = load_profile(profile) if isinstance(profile, str) else profile
    warnings: list[Finding] = []
    if loaded.profile.federation.engine == "flower":
        require_flower()
        if baselines:
            raise UsageError(
                "--baselines with engine flower — central training needs all clips in one place",
                hint="--engine local --baselines: both engines give the same adapters",
            )
    if baselines and loaded.profile.federation.rounds == 0:
        raise UsageError("--baselines with --rounds 0 — nothing is trained that could be compared")
    plan = plan_federation(loaded, node_ids, command=command, on_warning=warnings.append)
    experiment, checkpoint = plan.profile.experiment, plan.profile.checkpoint
    key = _run_key(plan, baselines=baselines)
    inputs = listed_inputs((node.used for node in plan.nodes), plan.encoder)

    interrupted = RunDirectory.latest(experiment.runs, key) if resume else None
    if interrupted is not None:
        refuse_other_inputs(interrupted, inputs)
    if interrupted is not None and interrupted.status == "done":
        if all(path.is_file() for path in plan.files):
            listener(Noted(f"{interrupted.path} is done already: there is nothing to resume"))
            return Federated.from_summary(interrupted.summary())
        interrupted = None
    if not force and interrupted is None:
        refuse_to_overwrite(plan.would_overwrite, "adapter")
    if plan.files:
        make_directory(checkpoint.adapter_dir)
    ids = [node.id for node in plan.profile.nodes]

    with lock_nodes(checkpoint.adapter_dir, checkpoint.adapter_base_name, ids) if plan.files else nullcontext():
        remove_leftovers(plan.files)
        run = interrupted or RunDirectory.create(
            experiment.runs,
            experiment.name,
            command=["feda2v", *command],
            profile=loaded.text,
            resolved=resolved_toml(loaded),
            key=key,
            kind="federate",
            device=device_name(plan.device),
            inputs=inputs,
        )
        with run.recording(command, listener) as recorded, tracked(plan.profile, run.path, recorded) as emit:
            _introduce(plan, warnings, emit)
            result = _run(plan, loaded, run, emit, started, resumed=interrupted is not None, baselines=baselines)
            run.finish("done", result.summary())
    return result


def _run(
    plan: FederationPlan,
    loaded: LoadedProfile,
    run: RunDirectory,
    emit: Listener,
    started: float,
    *,
    resumed: bool,
    baselines: bool,
) -> Federated:
    keep_nodes = bool(plan.files) and any(owner is not None for owner in plan.owners)
    with _reach(plan, loaded, run, emit) as (plan, setup, engine):
        pictures = _pictures(plan, setup, run, emit)
        chosen = ResumableFederation(
            "chosen", setup, run.resume, emit, keep_nodes=keep_nodes, engine=engine, pictures=pictures
        )
        emit(RunResumed(str(run.path), chosen.history.rounds_done) if resumed else RunStarted(str(run.path)))
        history = chosen.run()
    if pictures is not None:
        pictures.maker.close()
        emit(Noted(f"pictures of the rounds lie in {pictures.directory}"))
    _tell_cosines(plan, history, emit)
    compared = _run_baselines(setup, run, emit) if baselines else {}
    save_adapters(plan, chosen, emit)
    return Federated(
        run_dir=run.path,
        strategy=plan.strategy.name,
        engine=plan.profile.federation.engine,
        seconds=time.monotonic() - started,
        rounds=[
            {name: done[name] for name in ("round", "accuracy", "node_accuracy", "loss")}
            for done in history.evaluations
        ],
        final=_final(history),
        synthetic=_synthetic(plan, setup),
        baselines=compared,
        confusion=history.confusion,
        classes=plan.classes,
        skipped_rounds=history.skipped,
        adapters=tuple(plan.files),
    )


@contextmanager
def _reach(
    plan: FederationPlan, loaded: LoadedProfile, run: RunDirectory, emit: Listener
) -> Iterator[tuple[FederationPlan, Setup, Engine | None]]:
    """The federation of a plan, and what reaches its nodes; None when they are in this process."""
    if plan.profile.federation.engine == "local":
        embeddings = embed_each_node(plan.nodes, plan.encoders, plan.profile, emit)
        contents = {name: content for kind in embeddings.values() for name, content in kind.contents.items()}
        refuse_other_contents(run.resume, contents)
        yield plan, set_up_federation(plan, embeddings), None
        return
    from feda2v_cli.job.flower.reach import reach_nodes

    with reach_nodes(plan, loaded, run.path, emit) as reached:
        yield reached


def _pictures(plan: FederationPlan, setup: Setup, run: RunDirectory, emit: Listener) -> RoundPictures | None:
    """The pictures of the rounds; what makes them is loaded, so that it is told now if it cannot be."""
    if plan.maker is None:
        return None
    profile = plan.profile
    chosen = choose_clips(plan.nodes, profile, plan.classes)
    absent = lacking(chosen, plan.classes)
    if absent:
        asked = ", ".join(profile.images.splits)
        emit(Warned(f"no clip of {', '.join(absent)} is in {asked}: there are no pictures of these classes"))
    subjects = embed_subjects(chosen, plan.encoders, profile, emit)
    maker = plan.maker.load()
    emit(Noted(maker.description))
    if plan.maker.pipeline is not None and profile.adapter.targets == CODES:
        emit(Warned("adapters learn codes, which mean nothing to the pipeline: pictures show nothing of the classes"))
    maker.check({space: tuple(values.shape[1:]) for space, values in plan.targets.spaces.items()}, "the targets")
    return RoundPictures(
        maker=maker,
        subjects=subjects,
        targets=plan.targets.spaces,
        owners=picture_owners(setup, plan.owners),
        every=profile.images.every,
        rounds=profile.federation.rounds,
        directory=run.path / "images",
        seconds=plan.encoder.seconds,
        emit=emit,
    )


def _tell_cosines(plan: FederationPlan, history: History, emit: Listener) -> None:
    """How near outputs come to real targets; of codes the accuracy says all."""
    if plan.targets.identity.get("name") == CODES:
        return
    for space, cosine in history.evaluations[-1]["cosine"].items():
        emit(
            Noted(
                f"{space}: held-out clips lie at cosine {cosine['own']:.3f} to their own target, at "
                f"{cosine['other']:.3f} to the nearest other (centred)"
            )
        )


def _run_baselines(setup: Setup, run: RunDirectory, emit: Listener) -> dict[str, dict[str, Any]]:
    setups = {name: setup.baseline(name) for name in BASELINES}
    if setup.generators and setup.profile.federation.strategy != ONE_SHOT:
        setups[ONE_SHOT] = setup.with_strategy(ONE_SHOT)
    finals = {}
    for name, baseline in setups.items():
        federation = ResumableFederation(f"baseline {name}", baseline, run.resume, emit, keep_nodes=False)
        finals[name] = _final(federation.run())
    return finals


def _final(history: History) -> dict[str, Any]:
    return {name: value for name, value in history.evaluations[-1].items() if name != "round"}


def _synthetic(plan: FederationPlan, setup: Setup) -> dict[str, Any]:
    if plan.generators is None:
        return {"per_class": 0, "generators": 0, "node_samples": {}, "server_samples": 0, "use": []}
    return {
        "per_class": setup.most_samples_per_class,
        "generators": len(plan.generators.loaded),
        "granularity": plan.generators.granularity,
        "directory": str(plan.generators.directory),
        "node_samples": {str(node.id): setup.samples_of(node) for node in setup.nodes},
        "server_samples": setup.server_samples,
        "use": list(setup.sample_uses),
        "refresh": setup.profile.synthetic.refresh,
    }


def _introduce(plan: FederationPlan, warnings: Sequence[Finding], emit: Listener) -> None:
    if plan.nodes and plan.nodes[0].dataset.root is None:
        emit(Noted("no data.root is set: training on the built-in sounds (--data-root DIR takes recordings)"))
    emit(Noted(plan.encoder.description))
    if plan.profile.nodes_that_differ:
        tokens = ", ".join(f"node {node.id} has {plan.encoders[node.id].shape[0]}" for node in plan.profile.nodes)
        emit(Noted(f"nodes differ in their tokens, and an adapter takes any number of them: {tokens}"))
    emit(Noted(plan.targets.description))
    for finding in warnings:
        emit(finding.event())
    if plan.generators is not None:
        emit(Noted(f"samples come from {plan.generators}"))
    if plan.trained is not None:
        emit(Noted(f"evaluating {plan.trained}"))
    elif plan.strategy.remark is not None:
        emit(Noted(plan.strategy.remark))


def _run_key(plan: FederationPlan, *, baselines: bool) -> str:
    """What a run must share with this one to go on with it: all that its result depends on, and where it goes."""
    generators = plan.generators
    trained = (
        []
        if generators is None
        else [str(generators.directory), *(f"{one.name.filename} {one.timestamp}" for one, _ in generators.loaded)]
    )
    nodes = [node.id for node in plan.profile.nodes]
    parts = ["federate", profile_hash(plan.whole), nodes, trained, plan.targets.fingerprint, baselines]
    if plan.trained is not None:
        parts.append(plan.trained.digests)
    if plan.maker is not None:
        parts.append(plan.profile.images.model_dump(mode="json"))
    text = json.dumps(parts)
    return hashlib.sha256(text.encode()).hexdigest()
