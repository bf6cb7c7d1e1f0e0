"""File names of checkpoints: the one place where they are built and parsed.

    {base}_node{id}[_class_{class}|_group_{group}][_round_{n}].pt    a generator; without a round it is the final one
    {base}_node{id}.pt, {base}_server.pt                             adapters of a node and of the server

Classes, groups and base names may hold underscores; a generator's name that could be read as something else is refused
when it is built.
"""

import os
import re
from dataclasses import dataclass

from feda2v_cli.errors import UsageError
from feda2v_cli.profile.generator_names import Granularity as Granularity

SUFFIX = ".pt"
#: Longest name: the 255 bytes of most file systems, less what the name of a temporary file adds.
LONGEST_NAME_BYTES = 240

_KEY_WORDS: dict[Granularity, str] = {"per_class": "class", "per_group": "group"}
_KINDS: dict[str | None, Granularity] = {None: "unified", "class": "per_class", "group": "per_group"}
_NUMBER = "0|[1-9][0-9]{0,17}"
# Base name and key take as little as they can: the first `_node{id}` that fits counts, and the last `_round_{n}`.
_NAME = re.compile(
    rf"(?P<base>[^./\0][^/\0]*?)_node(?P<node>{_NUMBER})"
    rf"(?:_(?P<word>class|group)_(?P<key>[^/\0]+?))?"
    rf"(?:_round_(?P<round>{_NUMBER}))?{re.escape(SUFFIX)}"
)
_Parts = tuple[str, int, Granularity, str | None, int | None]


@dataclass(frozen=True)
class GeneratorName:
    """What the name of a generator's checkpoint says.

    >>> GeneratorName("vae_perclass", 1, "per_class", "sea_waves", 10).filename
    'vae_perclass_node1_class_sea_waves_round_10.pt'

    Attributes:
        base_name: first part of the file name.
        node: id of the node.
        kind: granularity of the generator.
        key: class or group; None for unified.
        round: round of the save; None for the final one.

    Raises:
        UsageError: no file name says this and nothing else.
    """

    base_name: str
    node: int
    kind: Granularity
    key: str | None = None
    round: int | None = None

    def __post_init__(self) -> None:
        parts = (self.base_name, self.node, self.kind, self.key, self.round)
        if _parse(self.filename) != parts:
            raise UsageError(
                f"no checkpoint can be named {self.filename!r} — the name would be read as something else",
                [f"base name {self.base_name!r}, node {self.node}, {self.kind} {self.key!r}, round {self.round}"],
                hint="choose another base name, class or group: --base-name NAME",
            )
        if len(os.fsencode(self.filename)) > LONGEST_NAME_BYTES:
            raise UsageError(
                f"no checkpoint can be named {self.filename!r} — expected at most {LONGEST_NAME_BYTES} bytes",
                hint="choose a shorter base name: --base-name NAME",
            )

    @property
    def filename(self) -> str:
        """The file's name."""
        key = "" if self.key is None else f"_{_KEY_WORDS.get(self.kind)}_{self.key}"
        end = "" if self.round is None else f"_round_{self.round}"
        return f"{self.base_name}_node{self.node}{key}{end}{SUFFIX}"


def parse_name(filename: str) -> GeneratorName | None:
    """What a file's name says; None when it is not the name of a generator's checkpoint.

    >>> parse_name("vae_group_node0_group_sea_life.pt")
    GeneratorName(base_name='vae_group', node=0, kind='per_group', key='sea_life', round=None)
    """
    parts = _parse(filename)
    if parts is None or len(os.fsencode(filename)) > LONGEST_NAME_BYTES:
        return None
    return GeneratorName(*parts)


def adapter_filename(base_name: str, node: int | None) -> str:
    """Name of an adapter's file.

    >>> adapter_filename("adapter", 0), adapter_filename("adapter", None)
    ('adapter_node0.pt', 'adapter_server.pt')
    """
    return f"{base_name}_server{SUFFIX}" if node is None else f"{base_name}_node{node}{SUFFIX}"


def _parse(filename: str) -> _Parts | None:
    match = _NAME.fullmatch(filename)
    if match is None:
        return None
    end = match["round"]
    return match["base"], int(match["node"]), _KINDS[match["word"]], match["key"], None if end is None else int(end)
