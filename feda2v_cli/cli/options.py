"""Options that several commands share: one name, one help text, one meaning, and the key of the profile that each sets.

A command takes a group of options as one value:

    @takes_options
    def evaluate(*, profile: ProfileOptions, seeds: ... = 5, console: ConsoleOptions) -> None: ...
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args, get_type_hints

import typer

from feda2v_cli.errors import UsageError, closest

if TYPE_CHECKING:
    from feda2v_cli.checkpoint.name import Granularity
    from feda2v_cli.profile.load import LoadedProfile

FROM_PROFILE = "from the profile"
FROM_GRANULARITY = "chosen by the granularity"


@dataclass(frozen=True)
class Sets:
    """Stands beside an option and says which key of the profile it sets.

    Attributes:
        key: the dotted key.
        read: makes the key's value of the option's.
    """

    key: str
    read: Callable[[Any], Any] = lambda value: value


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.", show_default=False)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors alone.", show_default=False)]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print more of what happens.", show_default=False)]
ProfileName = Annotated[
    str | None,
    typer.Option("--profile", "-p", metavar="NAME|PATH", help="A shipped profile, or a TOML file.", show_default=False),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="Set any key of the profile.", show_default=False),
]
GranularityName = Annotated[
    str | None,
    typer.Option("--granularity", "-g", metavar="NAME", help="unified, per_class or per_group.", show_default=False),
    Sets("generator.granularity"),
]
DataRoot = Annotated[
    Path | None,
    typer.Option("--data-root", metavar="DIR", help="Directory of the data set.", show_default="built-in sounds"),
    Sets("data.root", str),
]
NodeIds = Annotated[
    str | None, typer.Option("--nodes", metavar="0,2", help="Only these nodes.", show_default="all nodes")
]
Seed = Annotated[
    int | None, typer.Option("--seed", metavar="N", help="Seed.", show_default=FROM_PROFILE), Sets("experiment.seed")
]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="NAME", help="auto, cpu, cuda or mps.", show_default="auto"),
    Sets("experiment.device"),
]
Memory = Annotated[
    str | None,
    typer.Option("--memory", metavar="SIZE", help="What training may take, like 2GB.", show_default="most of the free"),
    Sets("experiment.memory"),
]
BaseName = Annotated[
    str | None,
    typer.Option("--base-name", metavar="NAME", help="First part of file names.", show_default=FROM_GRANULARITY),
    Sets("checkpoint.base_name"),
]
SetPath = Annotated[
    Path | None,
    typer.Argument(metavar="PATH", help="Directory of the set.", show_default="the one set under checkpoints/"),
]
OtherClips = Annotated[
    bool,
    typer.Option("--permissive", help="Only warn when these are not the clips that trained.", show_default=False),
]
SkipUnreadable = Annotated[
    bool,
    typer.Option("--skip-unreadable", help="Leave unreadable clips out, and list them.", show_default=False),
    Sets("data.skip_unreadable"),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run that was interrupted.", show_default=False)]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that are there.", show_default=False)]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done and written, and stop.", show_default=False)
]
RunsDir = Annotated[
    Path,
    typer.Option("--runs", metavar="DIR", envvar="FEDA2V_EXPERIMENT_RUNS", help="Where runs are.", show_envvar=False),
]
#: The option itself, for commands that set different keys with it.
ROUNDS = typer.Option("--rounds", metavar="N", help="Rounds.", show_default=FROM_PROFILE)


@dataclass(frozen=True)
class ConsoleOptions:
    """How a command speaks."""

    as_json: AsJson = False
    quiet: Quiet = False
    verbose: Verbose = False


@dataclass(frozen=True)
class ProfileOptions:
    """Which profile, and what beats it."""

    profile: ProfileName = None
    settings: Settings = None
    data_root: DataRoot = None

    def load(self, default: str, *groups: object) -> "LoadedProfile":
        """The profile that these options name.

        Args:
            default: a shipped profile, where no option names one.
            groups: more groups of options, of which some set keys.

        Raises:
            UsageError: there is no such profile.
            ProfileError: it is invalid.
        """
        from feda2v_cli.profile.load import load_profile

        return load_profile(self.profile or default, flags=flags_of(self, *groups), settings=self.settings or [])


@dataclass(frozen=True)
class RunOptions:
    """What both runs take: of which generators and nodes, on which machine, and what becomes of files."""

    granularity: GranularityName = None
    base_name: BaseName = None
    nodes: NodeIds = None
    seed: Seed = None
    device: Device = None
    memory: Memory = None
    skip_unreadable: SkipUnreadable = False
    resume: Resume = False
    force: Force = False
    dry_run: DryRun = False

    @property
    def node_ids(self) -> tuple[int, ...] | None:
        """The nodes that are meant; None is all.

        Raises:
            UsageError: the text is no list of node ids.
        """
        return node_ids(self.nodes)


def flags_of(*groups: object) -> dict[str, tuple[str, Any]]:
    """Options that were given as the top layer of a profile, each with the key that it sets.

    Args:
        groups: groups of options.

    Returns:
        What `load_profile(flags=…)` takes.
    """
    flags = {}
    for group in groups:
        for name, sets in keys_of(type(group)).items():
            value = getattr(group, name)
            if value is not None and value is not False:
                flags[f"--{name.replace('_', '-')}"] = (sets.key, sets.read(value))
    return flags


def keys_of(group: type) -> dict[str, Sets]:
    """Which key each option of a group sets, by the option's name; options that set none are left out."""
    hints = get_type_hints(group, include_extras=True)
    beside = {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items()}
    return {name: mark for name, marks in beside.items() for mark in marks if isinstance(mark, Sets)}


def takes_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameters that are groups of options stand for the options of the groups.

    Args:
        command: some of its parameters have a group as their type.
    """
    signature = inspect.signature(command)
    groups = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    groups = {name: group for name, group in groups.items() if is_dataclass(group)}

    @wraps(command)
    def with_groups(**options: Any) -> None:
        for name, group in groups.items():
            options[name] = group(**{field.name: options.pop(field.name) for field in fields(group)})
        command(**options)

    parameters: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        parameters += inspect.signature(groups[name]).parameters.values() if name in groups else [parameter]
    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    # Typer reads both.
    with_groups.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_groups.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_groups


def node_ids(text: str | None) -> tuple[int, ...] | None:
    """The ids in `0,2`; None stays None.

    Raises:
        UsageError: the text is no list of node ids.
    """
    if text is None:
        return None
    parts = words_in(text)
    if not all(part.isdecimal() for part in parts):
        raise UsageError(f"--nodes {text} — expected node ids with commas between them", hint="--nodes 0,2")
    return tuple(dict.fromkeys(int(part) for part in parts))


def words_in(text: str) -> list[str]:
    """The words in `dog,cow`."""
    return [word.strip() for word in text.split(",")]


def granularity_in(name: str | None) -> "Granularity | None":
    """The granularity that --granularity names; None stays None.

    Raises:
        UsageError: there is no such granularity.
    """
    from feda2v_cli.checkpoint.name import Granularity

    known: Sequence[str] = get_args(Granularity)
    if name is not None and name not in known:
        near = closest(name, known)
        raise UsageError(
            f"--granularity {name} — expected one of {', '.join(known)}",
            [f"did you mean {near}?"] if near else [],
            hint=f"--granularity {near or known[0]}",
        )
    return cast("Granularity | None", name)
