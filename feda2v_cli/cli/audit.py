"""The command `feda2v audit`."""

import sys
from typing import TYPE_CHECKING

from feda2v_cli.cli.options import BaseName, ConsoleOptions, OtherClips, ProfileOptions, SetPath, takes_options
from feda2v_cli.cli.output import command_output
from feda2v_cli.cli.tables import table
from feda2v_cli.counted import counted

if TYPE_CHECKING:
    from rich.table import Table

    from feda2v_cli.job.audit import Audit
    from feda2v_cli.privacy.advantage import Advantage

EXAMPLES = """\b
Examples:
  feda2v audit checkpoints/generators
  feda2v audit checkpoints/generators_per_class --verbose
  feda2v audit checkpoints/generators --data-root data/ESC-50
  feda2v audit checkpoints/generators --json | jq -r .data.verdict
"""


@takes_options
def audit(
    path: SetPath = None,
    *,
    profile: ProfileOptions,
    base_name: BaseName = None,
    permissive: OtherClips = False,
    console: ConsoleOptions,
) -> None:
    """What a set of generators tells of its clips.

    Attacks it with what you have: clips that trained, and clips held out. AUC is how often an attack ranks a clip that
    trained above another; 0.5 is chance. Found is the share of clips that trained which it finds while it takes 1 % or
    0.1 % of the others for them. The verdict is guarded, guarded once (a second version of the files would tell clips),
    leaking or telling; the exit code is 0 with any. What it does not find is no proof: docs/privacy.md says what is
    promised, and what is not.
    """
    with command_output("audit", console) as output:
        from feda2v_cli.cli.progress import Progress
        from feda2v_cli.job.audit import audit as run

        loaded = profile.load("use_pretrained")
        with Progress(output) as progress:
            audited = run(
                path,
                loaded,
                base_name=base_name,
                profile_named=profile.profile,
                permissive=permissive,
                command=sys.argv[1:],
                listener=progress.show,
            )
        tables: list[Table | str] = [_attacks(audited)]
        if output.verbose:
            tables += ["", _classes(audited)]
        made = counted(audited.generators, f"{audited.granularity} {audited.generator_type} generator")
        output.result(
            audited.to_dict(),
            *tables,
            "",
            f"{audited.judgement.word}: {'; '.join(audited.judgement.reasons)}",
            f"{made} of {audited.directory}, "
            f"{audited.members} clips trained, {audited.others} held out, in {audited.seconds:.1f} s; "
            f"run {audited.run_dir}",
        )


def _attacks(audited: "Audit") -> "Table":
    attacks = table("attack", "needs")
    for heading in ("AUC", "95 %", "at 1 %", "at 0.1 %"):
        attacks.add_column(heading, justify="right", no_wrap=True)
    for name, attack in audited.attacks.items():
        attacks.add_row(name.replace("_", " "), attack.needs, *_figures(attack.overall))
    if (bound := audited.bound) is not None:
        found = (f"{share:.3f}" for share in (bound.found_at_1_percent, bound.found_at_0_1_percent))
        promise = f"no attack can do more: ε = {bound.epsilon:g}, δ = {bound.delta:g}"
        attacks.add_row(promise, "any", f"{bound.auc:.3f}", "", *found)
    return attacks


def _classes(audited: "Audit") -> "Table":
    classes = table("class", right=("AUC", "95 %", "at 1 %", "at 0.1 %"))
    for name, figures in audited.attacks[audited.strongest].per_class.items():
        classes.add_row(name, *_figures(figures))
    return classes


def _figures(figures: "Advantage") -> tuple[str, ...]:
    found = ("-" if one is None else f"{one:.3f}" for one in (figures.found_at_1_percent, figures.found_at_0_1_percent))
    return f"{figures.auc:.3f}", f"{figures.low:.2f} to {figures.high:.2f}", *found
