"""Trains one stack of generators after the other, and saves them as they go."""

import gc
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from feda2v_cli import __version__
from feda2v_cli.checkpoint.file import write_checkpoint
from feda2v_cli.checkpoint.metadata import GeneratorMetadata
from feda2v_cli.data.clip import fingerprint
from feda2v_cli.embedding.embed import Embeddings, embed
from feda2v_cli.embedding.identity import recorded
from feda2v_cli.engine.memory import is_out_of_memory
from feda2v_cli.errors import FailedError
from feda2v_cli.generator.generator_type import Fitting
from feda2v_cli.generator.granularity import GeneratorSpec, generator_specs
from feda2v_cli.generator.registry import GENERATORS, same_steps
from feda2v_cli.generator.training_set import TrainingSet, training_set
from feda2v_cli.job.nodes import cache_directory
from feda2v_cli.job.public_basis import coordinates_of, public_basis
from feda2v_cli.job.train_generators.plan import GeneratorPlan, PlannedGenerator
from feda2v_cli.job.train_generators.resume import (
    KeptRelease,
    StackToTrain,
    keep_release,
    kept_release,
    release_file,
    save_state,
)
from feda2v_cli.paths import as_text
from feda2v_cli.privacy.inquiry import attack_in_training
from feda2v_cli.privacy.ledger import charge
from feda2v_cli.privacy.release import Promise, PublicBasis, Release, Rounding, release, released_set
from feda2v_cli.profile.load import profile_hash
from feda2v_cli.quality.figures import cheap_figures
from feda2v_cli.run.event import CheckpointSaved, EpochEnded, Listener, RoundEnded, StackNarrowed
from feda2v_cli.threads import side_by_side, threads_per_operation


class StackTraining:
    """Trains stacks of a plan.

    Args:
        plan: of the run.
        resume: directory of the states.
        emit: is told what happens.

    Attributes:
        clips_seen: clips times epochs that models have trained on.
        seconds: that training took, without reading and writing.
    """

    def __init__(self, plan: GeneratorPlan, resume: Path, emit: Listener) -> None:
        self._plan = plan
        self._resume = resume
        self._emit = emit
        self._stacks = 0
        self._stack = 0
        self._type = GENERATORS[plan.profile.generator.type]
        self._total = 0
        self._bases: dict[tuple[tuple[int, int], int], PublicBasis] = {}
        self._basis_lock = Lock()
        self._promises: dict[GeneratorSpec, dict[str, Any]] = {}
        self._attacks: dict[GeneratorSpec, dict[str, Any]] = {}
        self._profile_hash = profile_hash(plan.whole)
        self._rounding = Rounding(plan.profile.checkpoint.round_counts, plan.profile.generator.fewest_clips)
        self.clips_seen = 0
        self.seconds = 0.0

    def train(self, stacks: Sequence[StackToTrain]) -> None:
        """Train stacks to their end. One for which memory does not suffice is trained in halves.

        Raises:
            FailedError: a loss is not finite, the disk is full, or one generator alone is too large for the memory.
        """
        todo = list(stacks)
        self._stacks = len(todo)
        self._total = sum(self._clips(stack) * (self._plan.rounds - stack.rounds_done) for stack in todo)
        while todo:
            todo = self._halves_unless_trained(todo[0]) + todo[1:]

    def _clips(self, stack: StackToTrain) -> int:
        """Clips times epochs of a round."""
        return self._plan.epochs * sum(len(planned.clips) for planned in stack.generators)

    def _halves_unless_trained(self, stack: StackToTrain) -> list[StackToTrain]:
        seen = self.clips_seen
        try:
            self._train(stack)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if len(stack.generators) == 1:
                raise FailedError(
                    f"memory ran out while {stack.generators[0].spec} was trained, alone",
                    [f"it needs about {stack.generators[0].cost.bytes} bytes"],
                    hint="make it smaller: --set generator.hidden=64",
                ) from error
            half = -(-len(stack.generators) // 2)
        else:
            self._stack += 1
            return []
        # Out of the except block, so that the traceback no longer holds the stack's tensors.
        gc.collect()
        if self._plan.device.type == "cuda":
            torch.cuda.empty_cache()
        self.clips_seen = seen
        self._total += self._clips(stack) * stack.rounds_done
        self._stacks += 1
        self._emit(StackNarrowed(len(stack.generators), half))
        return [StackToTrain(stack.generators[:half]), StackToTrain(stack.generators[half:])]

    def _train(self, stack: StackToTrain) -> None:
        making = [partial(self._training_set, planned) for planned in stack.generators]
        sets = list(side_by_side(making, self._plan.set_ups_at_once))
        fitting = self._fitting(sets, stack)
        clips = sum(len(planned.clips) for planned in stack.generators)
        if stack.state is not None:
            fitting.restore(stack.state)
        for round_number in range(stack.rounds_done + 1, self._plan.rounds + 1):

            def on_epoch(epoch: int, round_number: int = round_number) -> None:
                self.clips_seen += clips
                self._emit(EpochEnded(round_number, epoch, self.clips_seen, self._total))

            started = time.monotonic()
            losses = _by_generator(fitting.train_round(round_number, on_epoch))
            seconds = time.monotonic() - started
            self.seconds += seconds
            _check_finite(losses, stack, round_number)
            self._save(fitting, sets, stack, round_number, losses)
            stack = replace(stack, rounds_done=round_number, state=fitting.state())
            save_state(stack, self._resume)
            named = {str(planned.spec): values for planned, values in zip(stack.generators, losses, strict=True)}
            self._emit(RoundEnded(round_number, self._plan.rounds, self._stack + 1, self._stacks, seconds, named))

    def _training_set(self, planned: PlannedGenerator) -> TrainingSet:
        profile = self._plan.profile
        embeddings = embed(
            planned.clips, planned.encoder, cache_directory(profile), numbers=profile.embedding.cache_dtype
        )
        names = [clip.class_name for clip in embeddings.clips]
        self._attacks[planned.spec] = {}
        if profile.generator.projection == "public":
            basis = self._basis(planned)
            promise = self._promise(planned, basis)
            released = None if promise is None else self._charged_release(planned.spec, embeddings, basis, promise)
            return released_set(planned.spec, embeddings.values, names, basis, promise, self._rounding, released)
        try:
            data = training_set(planned.spec, embeddings.values, names, profile.generator)
            found = attack_in_training(planned.spec, embeddings.values, names, profile.generator)
            figures = {} if found is None else {"auc": found.auc, "low": found.low, "high": found.high}
            self._attacks[planned.spec] = {"attack": figures} if figures else {}
            return data
        except ValueError as error:
            raise FailedError(f"{planned.spec} cannot be trained — {error}") from error

    def _basis(self, planned: PlannedGenerator) -> PublicBasis:
        """The basis for a generator, made once for all generators of as many coordinates."""
        rank = coordinates_of(self._plan.profile)
        with self._basis_lock:  # training sets are made side by side
            key = (planned.encoder.shape, rank)
            if key not in self._bases:
                self._bases[key] = public_basis(self._plan.profile, planned.encoder, rank)
            return self._bases[key]

    def _promise(self, planned: PlannedGenerator, basis: PublicBasis) -> Promise | None:
        section = self._plan.profile.generator
        if section.epsilon is None:
            return None
        promise = Promise.of(section.epsilon, section.delta, basis)
        self._promises[planned.spec] = promise.to_dict(basis.digest)
        return promise

    def _charged_release(
        self, spec: GeneratorSpec, embeddings: Embeddings, basis: PublicBasis, promise: Promise
    ) -> Release:
        """A release that is charged once and made once, however often the run is killed and goes on.

        It is kept before it is charged, and charged before anything is made of it: whoever is killed between finds it
        again. Other noise for the same charge would tell more than is promised.
        """
        section = self._plan.profile.generator
        kept = kept_release(spec, self._resume)
        if kept is None or kept.basis != basis.digest:
            names = [clip.class_name for clip in embeddings.clips]
            made = release(spec, embeddings.values, names, basis, promise, self._rounding)
            kept = KeptRelease.new(made, basis.digest)
            keep_release(kept, spec, self._resume)
        try:
            charge(
                section.ledger,
                embeddings.content_hashes,
                promise.noise_multiplier,
                promise.delta,
                section.privacy_budget,
                kept.name,
            )
        except FailedError:
            release_file(spec, self._resume).unlink()
            raise
        return kept.release

    def _fitting(self, sets: list[TrainingSet], stack: StackToTrain) -> Fitting:
        profile = self._plan.profile
        return self._type.fitting(
            sets,
            profile.generator,
            learning_rate=stack.generators[0].learning_rate,
            seed=profile.experiment.seed,
            device=self._plan.device,
        )

    def _save(
        self,
        fitting: Fitting,
        sets: list[TrainingSet],
        stack: StackToTrain,
        round_number: int,
        losses: list[dict[str, float]],
    ) -> None:
        plan = self._plan
        last = round_number == plan.rounds
        ends = [round_number] if round_number in plan.save_rounds else []
        for index, planned in enumerate(stack.generators):
            if not ends and not last:
                continue
            generator = fitting.generator(index)
            with threads_per_operation(1):  # the same bits whatever the number of cores
                quality = cheap_figures(generator, sets[index]) | self._attacks[planned.spec] if last else None
            metadata = self._metadata(planned, generator.architecture(), round_number, losses[index], quality)
            for end in (*ends, *([None] if last else [])):
                path = planned.file(plan.directory, plan.base_name, end)
                written = write_checkpoint(path, replace(metadata, final=end is None), generator.state())
                self._emit(CheckpointSaved(str(path), written))

    def _metadata(
        self,
        planned: PlannedGenerator,
        architecture: Mapping[str, int | str],
        round_number: int,
        losses: dict[str, float],
        quality: dict[str, Any] | None,
    ) -> GeneratorMetadata:
        plan, profile, spec = self._plan, self._plan.profile, planned.spec
        section, promise = profile.generator, self._promises.get(spec)
        siblings = [other for other in generator_specs(profile) if other.node == spec.node]
        node = next(node for node in plan.nodes if node.node_id == spec.node)
        told = {name: self._rounding.told(count) for name, count in planned.samples_per_class.items()}
        clips = sum(told.values())
        steps, _ = same_steps(clips, section, planned.learning_rate)
        optimiser = {
            "name": "AdamW",
            "learning_rate": planned.learning_rate,
            "weight_decay": section.weight_decay,
            "batch_size": -(-clips // steps),
            "clip_norm": section.clip_norm,
        }
        return GeneratorMetadata(
            base_name=plan.base_name,
            node_id=spec.node,
            round=round_number,
            final=False,
            timestamp=datetime.now(UTC).isoformat(),
            generator_type=section.type,
            generator_granularity=spec.granularity,
            run_granularity=section.granularity,  # type: ignore[arg-type] # a plan is never `auto`
            generator_key=spec.key,
            generator_classes=spec.classes,
            class_name=spec.key if spec.granularity == "per_class" else None,
            group_name=spec.key if spec.granularity == "per_group" else None,
            generator_class_groups=dict(section.groups),
            node_classes=planned.node.generated_classes,
            expected_keys=tuple(sibling.key for sibling in siblings if sibling.key is not None),
            architecture=dict(architecture),
            encoder=recorded(planned.encoder.identity, planned.encoder.source),
            embedding_shape=planned.encoder.shape,
            dataset_name=node.dataset.name,
            train_folds=node.split.folds["train"] if node.split.kind == "folds" else (),
            test_folds=node.split.folds["test"] if node.split.kind == "folds" else (),
            samples_per_class=told,
            # Who knows the names of clips can test a fingerprint: it is no part of what a promise allows.
            dataset_fingerprint="" if promise else fingerprint(planned.clips),
            seed=profile.experiment.seed,
            generator_training_epochs=0 if self._type.closed_form else plan.epochs * round_number,
            optimiser={} if self._type.closed_form else optimiser,
            final_losses=losses,
            quality=quality,
            package_version=__version__,
            torch_version=str(torch.__version__),
            profile_hash=self._profile_hash,
            node_fingerprint=None if promise else fingerprint(node.train),
            privacy=promise,
            run_directory=as_text(self._resume.parent.absolute()),
            split=dict(node.keys),
            counts_rounded_to=None if profile.checkpoint.round_counts == 1 else profile.checkpoint.round_counts,
        )


def _by_generator(losses: Mapping[str, Tensor]) -> list[dict[str, float]]:
    names = list(losses)
    rows = torch.stack([losses[name] for name in names], dim=1).tolist()
    return [dict(zip(names, row, strict=True)) for row in rows]


def _check_finite(losses: list[dict[str, float]], stack: StackToTrain, round_number: int) -> None:
    for planned, values in zip(stack.generators, losses, strict=True):
        for name, value in values.items():
            if not math.isfinite(value):
                raise FailedError(
                    f"{planned.spec}: the {name} became {value} in round {round_number}",
                    [
                        f"the learning rate {planned.learning_rate} is likely too high for these clips",
                        "nothing of this round is saved",
                    ],
                    hint=f"--set generator.learning_rate={planned.learning_rate / 10:g}",
                )
