"""What a run of RUN 1 keeps to go on after it was interrupted, and how it takes it up again."""

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from feda2v_cli.checkpoint.name import GeneratorName
from feda2v_cli.generator.granularity import GeneratorSpec
from feda2v_cli.job.files import save_resume_state, take_up_resume_state
from feda2v_cli.job.train_generators.plan import GeneratorPlan, PlannedGenerator
from feda2v_cli.privacy.release import Release

_NAME_BYTES = 16
State = Mapping[str, Tensor]


@dataclass(frozen=True)
class StackToTrain:
    """Generators that are trained together, and how far they have come.

    Attributes:
        generators: in the stack's order.
        rounds_done: rounds of training that they have seen, and whose checkpoints are saved.
        state: of their fitting after these rounds; None before the first.
    """

    generators: tuple[PlannedGenerator, ...]
    rounds_done: int = 0
    state: State | None = None

    def file(self, resume: Path) -> Path:
        """Where its state is kept: no two stacks begin with the same generator."""
        first = self.generators[0].spec
        return resume / GeneratorName("stack", first.node, first.granularity, first.key).filename


def unfinished_stacks(plan: GeneratorPlan, resume: Path) -> list[StackToTrain]:
    """The stacks that have rounds to train, as they were when the run was interrupted.

    Args:
        plan: all generators of the run.
        resume: directory of the states; empty for a new run.

    Raises:
        FailedError: a state is damaged.
    """
    by_name = {_identity(planned): planned for planned in plan.generators}

    def take_up(content: dict[str, Any]) -> StackToTrain:
        stack = tuple(by_name[node, key] for node, key in content["generators"])
        return StackToTrain(stack, content["rounds_done"], content["state"])

    kept = [take_up_resume_state(path, take_up) for path in sorted(resume.glob("*.pt"))]
    known = {_identity(planned) for stack in kept for planned in stack.generators}
    new = [
        StackToTrain(rest)
        for stack in plan.stacks
        if (rest := tuple(planned for planned in stack if _identity(planned) not in known))
    ]
    return [stack for stack in (*kept, *new) if stack.rounds_done < plan.rounds]


def save_state(stack: StackToTrain, resume: Path) -> None:
    """Keep a stack's state; an older one is replaced whole.

    Raises:
        FailedError: it cannot be written.
    """
    content = {
        "generators": [list(_identity(planned)) for planned in stack.generators],
        "rounds_done": stack.rounds_done,
        "state": dict(stack.state or {}),
    }
    consequence = "the checkpoints of this round are saved; the run cannot go on"
    save_resume_state(stack.file(resume), content, consequence)


@dataclass(frozen=True)
class KeptRelease:
    """What was released of a generator's clips with a promise.

    Attributes:
        name: by which the ledger knows it.
        basis: digest of the public basis.
        release: itself.
    """

    name: str
    basis: str
    release: Release

    @classmethod
    def new(cls, release: Release, basis: str) -> Self:
        """One that is in no ledger yet."""
        return cls(secrets.token_hex(_NAME_BYTES), basis, release)


def release_file(spec: GeneratorSpec, resume: Path) -> Path:
    """Where the release of a generator's clips is kept."""
    return resume / "releases" / GeneratorName("release", spec.node, spec.granularity, spec.key).filename


def keep_release(kept: KeptRelease, spec: GeneratorSpec, resume: Path) -> None:
    """Keep a release; an older one is replaced whole.

    Raises:
        FailedError: it cannot be written.
    """
    file = release_file(spec, resume)
    file.parent.mkdir(exist_ok=True)
    save_resume_state(file, asdict(kept), "nothing is released or charged")


def kept_release(spec: GeneratorSpec, resume: Path) -> KeptRelease | None:
    """The release of a generator's clips that the run has kept; None where there is none.

    Raises:
        FailedError: it is damaged.
    """

    def take_up(content: dict[str, Any]) -> KeptRelease:
        return KeptRelease(content["name"], content["basis"], Release(**content["release"]))

    file = release_file(spec, resume)
    return take_up_resume_state(file, take_up) if file.is_file() else None


def _identity(planned: PlannedGenerator) -> tuple[int, str | None]:
    return planned.spec.node, planned.spec.key
