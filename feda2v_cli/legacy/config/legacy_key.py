"""A row of the mapping table: a key of the earlier system, and what becomes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from feda2v_cli.profile.key_path import KeyPath

if TYPE_CHECKING:
    from feda2v_cli.legacy.config.draft import Draft

#: The parts of a run that a file switches on and off.
Stage = Literal[
    "generators",
    "generator_training",
    "run_2",
    "adapter_training",
    "adapter_files",
    "evaluation",
    "kd",
    "server_training",
    "images",
    "tracking",
]


@dataclass(frozen=True)
class LegacyKey:
    """A key of the earlier system.

    Attributes:
        section: the section of the file that holds it; `nodes` for the keys of every node.
        name: its name there.
        rule: what makes the profile's value of it.
        becomes: the keys of the profile that it goes into, dotted; none when it is dropped or decides something else.
        why: what changes on the way, or why nothing is left.
        stages: the parts of a run that it is about; where one of them is switched off its value counts for nothing.
        legacy_default: what the earlier system took when the key was not written, and what is written then.
    """

    section: str
    name: str
    rule: "Rule"
    becomes: tuple[str, ...] = ()
    why: str = ""
    stages: tuple[Stage, ...] = ()
    legacy_default: Any = None

    @property
    def dotted(self) -> str:
        """Section and name: `feda2v.use_generator`, `nodes.N.dataset`."""
        return f"nodes.N.{self.name}" if self.section == "nodes" else f"{self.section}.{self.name}"


@dataclass(frozen=True)
class Entry:
    """A key of the table that a file holds.

    Attributes:
        key: the row of the table.
        path: its place in the file.
        value: its value, never null.
        node: index of the node that it belongs to in the profile; None outside of nodes.
    """

    key: LegacyKey
    path: KeyPath
    value: Any
    node: int | None = None

    def target(self, dotted_key: str) -> KeyPath:
        """The key of the profile that a dotted key of the table stands for, in this entry's node."""
        parts = dotted_key.split(".")
        return ("nodes", self.node, parts[-1]) if self.node is not None and parts[0] == "nodes" else tuple(parts)


Rule = Callable[["Draft", Entry], None]
