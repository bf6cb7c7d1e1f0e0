"""How a run begins that looks at a set of generators: what it needs is found, and a directory records it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from feda2v_cli.data.clip import Clip
from feda2v_cli.job.evaluate.plan import EvaluationPlan, plan_evaluation, testing_with
from feda2v_cli.job.machine import device_name
from feda2v_cli.profile.load import LoadedProfile, load_profile, resolved_toml
from feda2v_cli.run.directory import RunDirectory
from feda2v_cli.run.event import Listener, RunStarted
from feda2v_cli.verifier.finding import Finding


@contextmanager
def run_on_a_set(
    kind: str,
    directory: Path | str | None,
    profile: LoadedProfile | str | None,
    *,
    base_name: str | None,
    profile_named: str | None,
    held_out: Sequence[Clip] | None,
    command: Sequence[str],
    listener: Listener,
) -> Iterator[tuple[EvaluationPlan, RunDirectory, Listener]]:
    """A run that is recorded while it lasts: its plan, its directory, and who is told what happens.

    Args:
        kind: of the run, like evaluate.
        directory: where the set lies; None for the one set under checkpoints/.
        profile: a loaded profile, or the name or path of one; None for what the checkpoints name.
        base_name: which set of a directory that holds several.
        profile_named: what the user called a loaded profile; None when the checkpoints say it.
        held_out: clips that did not train; None for those of the folds held out.
        command: words of the command line.
        listener: is told what happens.

    Raises:
        MissingError: there is no set, or data or weights are not there.
        UsageError: several sets would do, or a clip of `held_out` trained or is of no class of the set.
        FindingsError: the set is not sound, or not what the profile asks for.
    """
    if not isinstance(profile, LoadedProfile):
        profile_named = profile_named or profile
        profile = load_profile(profile or "use_pretrained")
    warnings: list[Finding] = []
    plan = plan_evaluation(
        None if directory is None else Path(directory),
        profile,
        command=kind,
        base_name=base_name,
        profile_named=profile_named,
        on_warning=warnings.append,
    )
    if held_out is not None:
        plan = replace(plan, nodes=testing_with(held_out, plan.nodes))
    run = RunDirectory.create(
        plan.profile.experiment.runs,
        f"{kind}-{plan.loaded[0][0].run_granularity}",
        command=["feda2v", *command],
        profile=profile.text,
        resolved=resolved_toml(profile.with_values(plan.profile, "checkpoints")),
        kind=kind,
        device=device_name(plan.device),
    )
    with run.recording(command, listener) as emit:
        emit(RunStarted(str(run.path)))
        for finding in warnings:
            emit(finding.event())
        yield plan, run, emit
