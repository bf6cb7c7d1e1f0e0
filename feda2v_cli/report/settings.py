"""The values of a run's profile: where each comes from, and in which of them runs differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from feda2v_cli.run.record import RunRecord

#: What a value comes from that nobody has set.
DEFAULT = "default"
#: More nodes than this are counted instead of listed.
MOST_NODES_LISTED = 12


@dataclass(frozen=True)
class Setting:
    """A value of a profile.

    Attributes:
        key: dotted.
        value: as TOML has it.
        origin: file and line, environment variable or option.
    """

    key: str
    value: Any
    origin: str

    @property
    def text(self) -> str:
        """The value for people."""
        return text_of(self.value)


def settings_of(record: RunRecord) -> list[Setting] | None:
    """Every value of a run's profile, with its origin; None when they cannot be read."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse((record.path / "resolved.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError, TOMLKitError, RecursionError):
        return None
    return list(_leaves("", document))


def changed(settings: Sequence[Setting]) -> list[Setting]:
    """Those that somebody has set to something else than the default."""
    from feda2v_cli.profile.schema import Profile  # takes a while, and is only needed here

    sections = {name: field.default for name, field in Profile.model_fields.items() if name != "nodes"}
    defaults = {
        f"{name}.{key}": value
        for name, section in sections.items()
        for key, value in section.model_dump(mode="json").items()
    }
    unset = object()
    return [one for one in settings if one.origin != DEFAULT and one.value != defaults.get(one.key, unset)]


def values_of(settings: Sequence[Setting]) -> dict[str, Any]:
    """Values by key. Many nodes are one value, that says how many they are and of how many classes."""
    values = {setting.key: setting.value for setting in settings}
    nodes = {key.split(".")[1] for key in values if key.startswith("nodes.")}
    if len(nodes) <= MOST_NODES_LISTED:
        return values
    of_nodes = {key: value for key, value in values.items() if key.startswith("nodes.")}
    classes = {name for key, value in of_nodes.items() if key.endswith(".classes") for name in value}
    rest = {key: value for key, value in values.items() if key not in of_nodes}
    return rest | {"nodes": f"{len(nodes)} nodes, {len(classes)} classes"}


def differing(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys of which the runs have different values; one that only some have differs too."""
    keys = dict.fromkeys(key for values in runs for key in values)
    return [key for key in keys if len({text_of(values.get(key)) for values in runs}) > 1]


def text_of(value: Any) -> str:
    """A value for people."""
    if value is None:
        return "not set"
    if isinstance(value, list):
        return ", ".join(map(text_of, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _leaves(place: str, table: Any) -> Iterator[Setting]:
    from tomlkit.container import Container
    from tomlkit.items import AoT, Table

    container: Container = table if isinstance(table, Container) else table.value
    for key, item in container.body:
        if key is None:
            continue  # a comment, or an empty line
        path = f"{place}.{key.key}".lstrip(".")
        if isinstance(item, Table):
            yield from _leaves(path, item)
        elif isinstance(item, AoT):
            for number, inner in enumerate(item.body):
                yield from _leaves(f"{path}.{number}", inner)
        else:
            yield Setting(path, item.unwrap(), item.trivia.comment.lstrip("# ") or DEFAULT)
