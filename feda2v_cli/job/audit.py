"""What do the generators of a set tell of the clips that trained them? Attacks, with what their owner has."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from feda2v_cli.data.clip import Clip, Waveform
from feda2v_cli.embedding.embed import embed
from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.generator.gaussian import GaussianFitting
from feda2v_cli.generator.generator import Generator
from feda2v_cli.generator.granularity import GeneratorSpec
from feda2v_cli.generator.training_set import training_set
from feda2v_cli.job.evaluate.begin import run_on_a_set
from feda2v_cli.job.evaluate.plan import EvaluationPlan
from feda2v_cli.job.evaluate.sources import Embedded, Source, embed_all, sides_of, sources_of, suspects_of
from feda2v_cli.job.nodes import cache_directory
from feda2v_cli.job.public_basis import public_basis
from feda2v_cli.privacy.bound import Bound
from feda2v_cli.privacy.inquiry import (
    Attack,
    Suspects,
    attack_by_samples,
    attack_files,
    attack_with_public_clips,
    strongest,
)
from feda2v_cli.privacy.release import Promise, PublicBasis, Rounding
from feda2v_cli.privacy.two_files import TwoFiles, told_by_trainings, told_on_a_public_basis
from feda2v_cli.privacy.verdict import Judgement, judgement
from feda2v_cli.profile.load import LoadedProfile
from feda2v_cli.profile.schema import GeneratorSection
from feda2v_cli.run.directory import RunDirectory
from feda2v_cli.run.event import Listener, Noted, Warned, ignore_event
from feda2v_cli.threads import small_operations

#: Clips of a class on each side of which noisy copies are made.
NOISY_CLIPS = 8
#: Loudness of the clip above that of the noise in its copy, in decibels.
SIGNAL_TO_NOISE = 30.0


@dataclass(frozen=True)
class Audit:
    """What attacks on a set find.

    Attributes:
        run_dir: directory of the run.
        directory: of the set.
        base_name: first part of its files' names.
        granularity: of the run that trained it.
        generator_type: like vae.
        generators: how many.
        members: clips that trained.
        others: clips held out.
        attacks: by name.
        strongest: the name of the strongest attack that needs a file alone.
        two_files: what two files tell of the clip by which they differ; None where no public basis could be made again.
        bound: the most that any attack finds, where every file promises (ε, δ): that of the weakest promise.
        judgement: in words.
        seconds: that it took.
    """

    run_dir: Path
    directory: Path
    base_name: str
    granularity: str
    generator_type: str
    generators: int
    members: int
    others: int
    attacks: dict[str, Attack]
    strongest: str
    two_files: TwoFiles | None
    bound: Bound | None
    judgement: Judgement
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """What the command prints under --json."""
        attacks = {name: {"needs": attack.needs, **asdict(attack.overall)} for name, attack in self.attacks.items()}
        best = self.attacks[self.strongest]
        return {
            "run_dir": str(self.run_dir),
            "directory": str(self.directory),
            "base_name": self.base_name,
            "granularity": self.granularity,
            "generator_type": self.generator_type,
            "generators": self.generators,
            "clips": {"members": self.members, "others": self.others},
            "attacks": attacks,
            "strongest": self.strongest,
            "per_class": {name: asdict(advantage) for name, advantage in best.per_class.items()},
            "two_files": self.two_files and asdict(self.two_files),
            "bound": self.bound and asdict(self.bound),
            "verdict": self.judgement.word,
            "reasons": list(self.judgement.reasons),
            "seconds": self.seconds,
        }

    def summary(self) -> dict[str, Any]:
        """What the run directory keeps: a report shows the part `audit`."""
        plain = self.to_dict()
        return plain | {
            "audit": {
                "verdict": f"{self.judgement.word}: {'; '.join(self.judgement.reasons)}",
                "attacks": plain["attacks"],
                f"{self.strongest}, by class": plain["per_class"],
            }
        }


@small_operations()
def audit(
    directory: Path | str | None = None,
    profile: LoadedProfile | str | None = None,
    *,
    base_name: str | None = None,
    profile_named: str | None = None,
    permissive: bool = False,
    held_out: Sequence[Clip] | None = None,
    command: Sequence[str] = ("audit",),
    listener: Listener = ignore_event,
) -> Audit:
    """Attack a set of generators with the clips that trained it and those held out.

    >>> audit("checkpoints/generators").judgement.word  # doctest: +SKIP
    'guarded'

    Args:
        directory: where the set lies; None for the one set under checkpoints/.
        profile: a loaded profile, or the name or path of one; as for `evaluate`.
        base_name: which set of a directory that holds several.
        profile_named: what the user called a loaded profile; None when nodes, folds and encoder are to be those that
            the checkpoints name.
        permissive: only warn when the clips are not those that trained.
        held_out: clips that did not train; None for those of the folds held out.
        command: words of the command line, for the run directory.
        listener: is told what happens.

    Raises:
        MissingError: there is no set, or data or weights are not there.
        UsageError: several sets would do.
        FindingsError: the set is not sound, not what the profile asks for, or was trained on other clips.
        FailedError: a clip is unreadable.
    """
    started = time.monotonic()
    with run_on_a_set(
        "audit",
        directory,
        profile,
        base_name=base_name,
        profile_named=profile_named,
        held_out=held_out,
        command=command,
        listener=listener,
    ) as (plan, run, emit):
        audited = _audit(plan, run, permissive=permissive, emit=emit, started=started)
        run.finish("done", audited.summary())
    return audited


def _audit(plan: EvaluationPlan, run: RunDirectory, *, permissive: bool, emit: Listener, started: float) -> Audit:
    emit(Noted(f"attacking {len(plan.loaded)} generators of {plan.directory}; {plan.encoders[None].description}"))
    embedded = embed_all(plan, emit)
    sources = sources_of(plan, embedded, permissive=permissive, emit=emit)
    suspects = suspects_of(plan, sources, embedded)
    attacks = {**attack_files(suspects), **attack_with_public_clips(suspects), **attack_by_samples(suspects)}
    emit(Noted("files, other clips and samples are tried; now noisy copies, and two files that differ by one clip"))
    copies = attack_files(_noisy(plan, sources, embedded), "copy")
    best = strongest(copies, "copy")
    if best is not None:
        attacks[f"{best}_of_a_noisy_copy"] = copies[best]
    name = strongest(attacks)
    assert name is not None
    told = _two_files(plan, sources, suspects, emit)
    metadata = sources[0].metadata
    return Audit(
        run_dir=run.path,
        directory=plan.directory,
        base_name=metadata.base_name,
        granularity=metadata.run_granularity,
        generator_type=metadata.generator_type,
        generators=len(sources),
        members=sum(len(one.members) for one in suspects),
        others=sum(len(one.others) for one in suspects),
        attacks=attacks,
        strongest=name,
        two_files=told,
        bound=_bound(sources),
        judgement=judgement(attacks, name, told),
        seconds=time.monotonic() - started,
    )


def _bound(sources: Sequence[Source]) -> Bound | None:
    """The bound of the weakest promise; None where a file promises nothing."""
    promises = [source.metadata.privacy for source in sources]
    bounds = [Bound.of(promise["epsilon"], promise["delta"]) for promise in promises if promise]
    return max(bounds, key=lambda bound: bound.auc) if len(bounds) == len(promises) else None


@dataclass(frozen=True)
class _NoisyCopy(Clip):
    """A clip with white noise, as one who recorded it again, or compressed it, has it."""

    clip: Clip = field(kw_only=True)

    def content(self) -> bytes:
        return self.clip.content() + f" with noise at {SIGNAL_TO_NOISE} dB".encode()

    def decode(self, content: bytes) -> Waveform:
        waveform = self.clip.decode(self.clip.content())
        random = np.random.default_rng(list(content[-64:]))
        deviation = float(waveform.samples.std()) * 10 ** (-SIGNAL_TO_NOISE / 20)
        noise = random.normal(0, deviation, waveform.samples.shape).astype(np.float32)
        return Waveform(waveform.samples + noise, waveform.sample_rate)


def _noisy(plan: EvaluationPlan, sources: Sequence[Source], embedded: Embedded) -> list[Suspects]:
    found = []
    for source, members, others in sides_of(plan, sources, embedded):
        sides, encoder = [], plan.encoders[source.metadata.node_id]
        for side in (members, others):
            copies = [_NoisyCopy(clip.name, clip.class_name, clip.fold, clip=clip) for clip in side[:NOISY_CLIPS]]
            embeddings = embed(
                copies, encoder, cache_directory(plan.profile), numbers=plan.profile.embedding.cache_dtype
            )
            sides.append(embeddings.values.flatten(1))
        found.append(Suspects(source.generator, members[0].class_name, *sides))
    return found


def _two_files(
    plan: EvaluationPlan, sources: Sequence[Source], suspects: Sequence[Suspects], emit: Listener
) -> TwoFiles | None:
    """Two files that differ by one clip; None where a public basis cannot be made again, in which they are compared."""
    of_generator = {id(source.generator): source.metadata for source in sources}
    random = random_stream(0, "two files")
    bases: dict[str, PublicBasis | None] = {}
    tries = []
    for one in suspects:
        metadata, digest = of_generator[id(one.generator)], one.generator.projection.public
        if digest is None:
            told = told_by_trainings(one, partial(_without, one, suspects))
        else:
            if digest not in bases:
                bases[digest] = _made_again(plan, metadata.node_id, one.generator, emit)
            basis = bases[digest]
            if basis is None:
                return None
            promise = Promise.claimed(metadata.privacy) if metadata.privacy else None
            rounding = Rounding(metadata.counts_rounded_to or 1, plan.profile.generator.fewest_clips)
            told = told_on_a_public_basis(one, basis, promise, random, rounding)
        tries.append((told, len(one.members)))
    return TwoFiles.of(tries)


def _made_again(plan: EvaluationPlan, node: int, generator: Generator, emit: Listener) -> PublicBasis | None:
    """The public basis that a file names: anybody can make it of the public clips, and a file has but a part of it."""
    basis = public_basis(plan.profile, plan.encoders[node], generator.projection.rank)
    if basis.digest == generator.projection.public:
        return basis
    clips = plan.profile.generator.public_root or "the built-in sounds"
    emit(
        Warned(
            f"{clips} make the public basis {basis.digest:.16}… here, files name {generator.projection.public:.16}…: "
            "two files are not tried; -p with the profile that trained them names the clips it was made of"
        )
    )
    return None


def _without(one: Suspects, suspects: Sequence[Suspects], place: int) -> Generator:
    """The Gaussian of the same clips but for one of a class."""
    own = [other for other in suspects if other.generator is one.generator]
    values, names = [], []
    for other in own:
        kept = other.members
        if other is one:
            kept = torch.cat([kept[:place], kept[place + 1 :]])
        values.append(kept)
        names += [other.name] * len(kept)
    section = GeneratorSection(type="gaussian")
    classes = tuple(other.name for other in own)
    spec = GeneratorSpec(0, "unified", None, classes)
    data = training_set(spec, torch.cat(values).view(-1, *one.generator.shape), names, section)
    return GaussianFitting([data], section).generator(0)
