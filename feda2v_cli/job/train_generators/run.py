"""RUN 1: train generators of audio embeddings on every node, and save them as checkpoints."""

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from feda2v_cli.atomic_write import remove_leftovers
from feda2v_cli.checkpoint.lock import lock_nodes
from feda2v_cli.counted import counted
from feda2v_cli.data.clip import Clip
from feda2v_cli.data.nodes import notes_on
from feda2v_cli.embedding.embed import Embeddings, embed
from feda2v_cli.errors import FailedError
from feda2v_cli.generator.granularity import GeneratorSpec
from feda2v_cli.generator.rebuild import count_parameters
from feda2v_cli.generator.training_set import differ
from feda2v_cli.job.files import make_directory, refuse_to_overwrite
from feda2v_cli.job.inputs import listed_inputs, refuse_other_contents, refuse_other_inputs
from feda2v_cli.job.machine import device_name
from feda2v_cli.job.nodes import cache_directory, warn_of_clips
from feda2v_cli.job.public_basis import refuse_private_clips
from feda2v_cli.job.train_generators.plan import MORE_CLIPS, GeneratorPlan, PlannedGenerator, plan_generators
from feda2v_cli.job.train_generators.resume import kept_release, unfinished_stacks
from feda2v_cli.job.train_generators.stack import StackTraining
from feda2v_cli.privacy.accountant import noise_multiplier_for
from feda2v_cli.privacy.ledger import charged, refuse_beyond_budget
from feda2v_cli.profile.load import LoadedProfile, load_profile, profile_hash, resolved_toml
from feda2v_cli.profile.schema import Profile
from feda2v_cli.run.directory import RunDirectory
from feda2v_cli.run.event import (
    ClipsEmbedded,
    Listener,
    Noted,
    RunResumed,
    RunStarted,
    Warned,
    ignore_event,
)
from feda2v_cli.run.machine import peak_memory_bytes
from feda2v_cli.run.trackers.registry import tracked
from feda2v_cli.threads import small_operations
from feda2v_cli.verifier.single import read_metadata


@dataclass(frozen=True)
class SavedCheckpoint:
    """A checkpoint that a run has written.

    Attributes:
        loss: mean of its last epoch; nats a clip.
    """

    path: Path
    node: int
    key: str | None
    classes: tuple[str, ...]
    round: int
    final: bool
    parameters: int
    bytes: int
    loss: float


@dataclass(frozen=True)
class TrainedGenerators:
    """What RUN 1 has done.

    Attributes:
        run_dir: its directory.
        granularity: of the profile.
        encoder: name of the audio encoder.
        seconds: from start to end, of this process.
        samples_per_second: clips that models have trained on in a second of training; 0 when nothing was left to train.
        peak_memory_bytes: most that the process held at once.
        checkpoints: all that the run has written, node by node.
    """

    run_dir: Path
    granularity: str
    encoder: str
    seconds: float
    samples_per_second: float
    peak_memory_bytes: int
    checkpoints: tuple[SavedCheckpoint, ...]

    def to_dict(self) -> dict[str, Any]:
        """Its values as JSON has them."""
        plain: dict[str, Any] = json.loads(json.dumps(_fields(self), default=str))
        return plain


@small_operations()
def train_generators(
    profile: LoadedProfile | str,
    *,
    node_ids: Sequence[int] | None = None,
    keys: Sequence[str] | None = None,
    resume: bool = False,
    force: bool = False,
    command: Sequence[str] = ("train-generators",),
    listener: Listener = ignore_event,
) -> TrainedGenerators:
    """Train generators on every node and save them.

    >>> trained = train_generators("per_group")  # doctest: +SKIP
    >>> [checkpoint.path.name for checkpoint in trained.checkpoints if checkpoint.final]  # doctest: +SKIP
    ['vae_group_node0_group_animals.pt', 'vae_group_node1_group_nature.pt', 'vae_group_node2_group_mechanical.pt']

    Args:
        profile: a loaded profile, or the name or path of one.
        node_ids: nodes that are trained; None for all.
        keys: classes or groups whose generators are trained; None for all.
        resume: go on with the newest run of this profile and these nodes that has not ended; without one, start anew.
            One that was begun with other clips, or another encoder, is refused.
        force: overwrite checkpoints that are there.
        command: words of the command line, for the run directory and for hints.
        listener: is told what happens.

    Raises:
        ProfileError: the profile is invalid.
        MissingError: data, weights or a device are not there.
        OverwriteError: checkpoints are there, or another run is writing them.
        FailedError: a clip is unreadable, memory or the disk is full, a loss is not finite, or the clips or the encoder
            of the run to resume have changed.
        RunInterrupted: Ctrl-C or SIGTERM; the run can be resumed.
    """
    started = time.monotonic()
    loaded = load_profile(profile) if isinstance(profile, str) else profile
    plan = plan_generators(loaded, node_ids, keys)
    runs = plan.profile.experiment.runs
    key = _run_key(plan, keys)
    inputs = listed_inputs((planned.clips for planned in plan.generators), plan.encoder)

    interrupted = RunDirectory.latest(runs, key) if resume else None
    if interrupted is not None:
        refuse_other_inputs(interrupted, inputs)
    if interrupted is not None and interrupted.status == "done" and all(path.is_file() for path in plan.files):
        listener(Noted(f"{interrupted.path} is done already: there is nothing to resume"))
        return _result(plan, interrupted, 0, 0.0, started)
    if interrupted is not None and interrupted.status == "done":
        interrupted = None
    if not force and interrupted is None:
        refuse_to_overwrite(plan.would_overwrite, "checkpoint")
    make_directory(plan.directory)

    with lock_nodes(plan.directory, plan.base_name, [node.node_id for node in plan.nodes]):
        _check_disk(plan)
        remove_leftovers(plan.files)
        run = interrupted or RunDirectory.create(
            runs,
            plan.profile.experiment.name,
            command=["feda2v", *command],
            profile=loaded.text,
            resolved=resolved_toml(loaded),
            key=key,
            kind="train-generators",
            device=device_name(plan.device),
            inputs=inputs,
        )
        with run.recording(command, listener) as recorded, tracked(plan.profile, run.path, recorded) as emit:
            trained, seconds = _train(plan, run, emit, resumed=interrupted is not None)
            result = _result(plan, run, trained, seconds, started)
            run.finish("done", result.to_dict())
    return result


def _train(plan: GeneratorPlan, run: RunDirectory, emit: Listener, *, resumed: bool) -> tuple[int, float]:
    """Clips times epochs that were trained, and the seconds that took."""
    if plan.nodes[0].dataset.root is None:
        emit(Noted("no data.root is set: training on the built-in sounds (--data-root DIR takes recordings)"))
    emit(Noted(plan.encoder.description))
    usable, hashes = _embed_all(plan, run, emit)
    todo = unfinished_stacks(usable, run.resume)
    _refuse_private_clips(plan, hashes)
    unreleased = {planned.spec: hashes[planned.spec] for stack in todo for planned in stack.generators}
    _refuse_beyond_budget(plan.profile, unreleased, run.resume)
    rounds_done = sum(stack.rounds_done for stack in todo)
    emit(RunResumed(str(run.path), rounds_done) if resumed else RunStarted(str(run.path)))
    training = StackTraining(usable, run.resume, emit)
    training.train(todo)
    return training.clips_seen, training.seconds


def _embed_all(
    plan: GeneratorPlan, run: RunDirectory, emit: Listener
) -> tuple[GeneratorPlan, dict[GeneratorSpec, Sequence[str]]]:
    """Fill the cache with every clip's embedding, and leave unreadable clips out when that is allowed.

    Beside the plan it gives hashes of what the clips of each generator contain.

    Everything that can be wrong with a clip is known before training starts; the embeddings themselves are read again
    stack by stack, so that memory does not grow with the data.
    """
    for note in notes_on(plan.nodes):
        emit(Warned(note))
    total = sum(len(planned.clips) for planned in plan.generators)
    done = 0
    unreadable: list[tuple[Clip, str]] = []
    damaged: list[str] = []
    equal: list[str] = []
    poor: list[str] = []
    contents: dict[str, str] = {}
    hashes: dict[GeneratorSpec, Sequence[str]] = {}
    for planned in plan.generators:
        embeddings = embed(
            planned.clips,
            planned.encoder,
            cache_directory(plan.profile),
            numbers=plan.profile.embedding.cache_dtype,
            skip_unreadable=plan.profile.data.skip_unreadable,
            progress=lambda clips, _: emit(ClipsEmbedded(done + clips, total)),  # noqa: B023 - called within the turn
        )
        done += len(planned.clips)
        unreadable += embeddings.skipped
        damaged += embeddings.damaged
        if not differ(embeddings.values):
            equal.append(f"{planned.spec} has {counted(len(embeddings.clips), 'clip')}, none different from another")
        else:
            poor += _poor_classes(planned, embeddings)
        contents |= embeddings.contents
        hashes[planned.spec] = embeddings.content_hashes
    refuse_other_contents(run.resume, contents)
    warn_of_clips(unreadable, damaged, emit)
    if equal:
        raise FailedError("a generator needs at least 2 clips that differ", equal, hint=MORE_CLIPS)
    for problem in poor:
        emit(Warned(f"{problem}; {MORE_CLIPS}"))
    if not unreadable:
        return plan, hashes
    gone = {clip for clip, _ in unreadable}
    for node in plan.nodes:
        node.without(gone)  # fails when a class has no clip left
    return replace(plan, generators=tuple(planned.without(gone) for planned in plan.generators)), hashes


def _refuse_private_clips(plan: GeneratorPlan, hashes: Mapping[GeneratorSpec, Sequence[str]]) -> None:
    if plan.profile.generator.projection == "public":
        private = frozenset(content for contents in hashes.values() for content in contents)
        refuse_private_clips(plan.profile, plan.generators[0].encoder, private)


def _refuse_beyond_budget(profile: Profile, contents: Mapping[GeneratorSpec, Sequence[str]], resume: Path) -> None:
    """Refuse at once what the ledger would refuse when a later generator's turn comes."""
    section = profile.generator
    if section.epsilon is None:
        return
    known = charged(section.ledger)
    kept = {spec: kept_release(spec, resume) for spec in contents}
    releases = [clips for spec, clips in contents.items() if (one := kept[spec]) is None or one.name not in known]
    if releases:
        noise = noise_multiplier_for(section.epsilon, section.delta)
        refuse_beyond_budget(section.ledger, releases, noise, section.delta, section.privacy_budget)


def _poor_classes(planned: PlannedGenerator, embeddings: Embeddings) -> Iterator[str]:
    """What samples of classes with hardly a clip will be like."""
    places: dict[str, list[int]] = {}
    for place, clip in enumerate(embeddings.clips):
        places.setdefault(clip.class_name, []).append(place)
    for name, own in places.items():
        holder = f"node {planned.spec.node}: class {name} has {counted(len(own), 'clip')}"
        if len(own) == 1:
            yield f"{holder}: its samples will spread around it as those of the other classes do"
        elif not differ(embeddings.values[own]):
            yield f"{holder} that do not differ: its samples will lie around that clip"
        elif len(own) == 2:
            yield f"{holder}: its samples will lie around the line through them"


def _check_disk(plan: GeneratorPlan) -> None:
    reclaimed = sum(path.stat().st_size for path in plan.would_overwrite if path.is_file())
    free = shutil.disk_usage(plan.directory).free
    if free + reclaimed < plan.disk_bytes:
        raise FailedError(
            f"the disk of {plan.directory} has {free} bytes free, the checkpoints need {plan.disk_bytes}",
            hint="--set checkpoint.every=0 saves the end alone, --checkpoint-dir DIR writes elsewhere",
        )


def _run_key(plan: GeneratorPlan, keys: Sequence[str] | None) -> str:
    """What a run must share with this one to go on with it: all that its result depends on, and where it goes."""
    nodes = [node.node_id for node in plan.nodes]
    chosen = [] if keys is None else [sorted(keys)]
    text = json.dumps(
        ["train-generators", profile_hash(plan.whole), nodes, str(plan.directory), plan.base_name, *chosen]
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _result(
    plan: GeneratorPlan, run: RunDirectory, clips_seen: int, training_seconds: float, started: float
) -> TrainedGenerators:
    saved = [_saved(path, planned) for planned in plan.generators for path in plan.files_of(planned)]
    return TrainedGenerators(
        run_dir=run.path,
        granularity=plan.profile.generator.granularity,
        encoder=plan.encoder.name,
        seconds=time.monotonic() - started,
        samples_per_second=clips_seen / training_seconds if training_seconds else 0.0,
        peak_memory_bytes=peak_memory_bytes(),
        checkpoints=tuple(saved),
    )


def _saved(path: Path, planned: PlannedGenerator) -> SavedCheckpoint:
    metadata = read_metadata(path)
    return SavedCheckpoint(
        path=path,
        node=metadata.node_id,
        key=metadata.generator_key,
        classes=planned.spec.classes,
        round=metadata.round,
        final=metadata.final,
        parameters=count_parameters(metadata.architecture),
        bytes=path.stat().st_size,
        loss=metadata.final_losses["loss"],
    )


def _fields(result: TrainedGenerators) -> dict[str, Any]:
    return vars(result) | {"checkpoints": [vars(checkpoint) for checkpoint in result.checkpoints]}
