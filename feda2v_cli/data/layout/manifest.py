"""A manifest: a CSV file with the columns path and class, and where wanted fold, split, source and node.

path,class,fold,source,node
sounds/rex barks.wav,dog,1,rex,0
"""

import os
from collections.abc import Iterator
from pathlib import Path

from feda2v_cli.counted import counted
from feda2v_cli.data.clip import FileClip
from feda2v_cli.data.layout.layout import (
    PARTS,
    Layout,
    Listing,
    check_classes,
    first,
    listing,
    names_in,
    without_absent,
)
from feda2v_cli.data.layout.table import Row, columns_of, read_table
from feda2v_cli.errors import FailedError, MissingError
from feda2v_cli.paths import entries, is_directory, is_file
from feda2v_cli.profile.schema import LARGEST_ID, SplitName, as_class_name

_NEEDED, _OPTIONAL = ("path", "class"), ("fold", "split", "source", "node")


def csv_clips(root: Path, skip_absent: bool = False) -> Listing:
    """All clips of a manifest. Reads no audio: it looks only whether the files are there.

    Args:
        root: the manifest, or the directory that holds it. Its paths are absolute, or begin where it lies.
        skip_absent: leave out clips whose file is not there.

    Raises:
        MissingError: the manifest, or files that it names, are not there.
        FailedError: it lacks columns, or holds wrong values; with line numbers.
    """
    manifest = _manifest(root)
    rows = read_table(manifest, _NEEDED, _OPTIONAL, hint=f"its columns are {','.join((*_NEEDED, *_OPTIONAL))}")
    names = {category: as_class_name(category) or "" for category in dict.fromkeys(row["class"] for row in rows)}
    _check_values(manifest, rows, names)
    lines = {row["class"]: row.line for row in reversed(rows)}
    check_classes(manifest, ((category, f"line {lines[category]}", name) for category, name in names.items()))
    there = _There()
    clips, absent = [], []
    for row in rows:
        path = os.path.join(manifest.parent, row["path"])
        if not there.has(path):
            absent.append(f"{manifest}:{row.line} {row['path']}")
            continue
        values = row.values
        clips.append(
            FileClip(
                row["path"],
                names[row["class"]],
                int(values.get("fold", 0)),
                source=values.get("source") or None,
                part=PARTS[values["split"]] if "split" in values else None,
                node=int(values["node"]) if values.get("node") else None,
                path=Path(path),
            )
        )
    notes = without_absent(manifest, manifest.parent, absent, len(rows), skip_absent=skip_absent)
    return Listing(tuple(clips), notes)


class _There:
    """Which files are there: every directory is listed once."""

    def __init__(self) -> None:
        self._names: dict[str, frozenset[str]] = {}

    def has(self, path: str) -> bool:
        directory, name = os.path.split(path)
        if directory not in self._names:
            found = names_in(Path(directory)) if is_directory(Path(directory)) else []
            self._names[directory] = frozenset(found)
        return name in self._names[directory]


def _manifests(root: Path) -> list[Path]:
    """CSV files with the columns of a manifest: the root itself, or in it."""
    if is_directory(root):
        files = [path for path in entries(root) if path.suffix.lower() == ".csv"]
    else:
        files = [root] if is_file(root) and root.suffix.lower() == ".csv" else []
    return [path for path in files if set(_NEEDED) <= set(columns_of(path))]


def _manifest(root: Path) -> Path:
    found = _manifests(root)
    if len(found) == 1:
        return found[0]
    if is_file(root):
        return root  # what it lacks is told with the line
    if found:
        raise MissingError(
            f"{root} holds several manifests: {', '.join(path.name for path in found)}",
            hint=f"--data-root {found[0]}",
        )
    raise MissingError(f"{root} holds no CSV file with the columns path and class", [f"it holds {listing(root)}"])


def _check_values(manifest: Path, rows: list[Row], names: dict[str, str]) -> None:
    problems = [f"{manifest}:{row.line} {problem}" for row in rows for problem in _problems(row, names)]
    seen: dict[str, int] = {}
    for row in rows:
        before = seen.setdefault(row["path"], row.line)
        if before != row.line:
            problems.append(f"{manifest}:{row.line} the path of line {before} again: {row['path']}")
    if problems:
        raise FailedError(f"{manifest} has {counted(len(problems), 'wrong value')}", first(problems))


def _problems(row: Row, names: dict[str, str]) -> Iterator[str]:
    values = row.values
    if not values["path"] or "\0" in values["path"]:
        yield f"the path is {values['path']!r}"
    if not names[values["class"]]:
        yield f"the class is {values['class']!r} — expected a class, in Latin letters or digits"
    if "fold" in values and not _is_number(values["fold"], 1):
        yield f"the fold is {values['fold']!r} — expected a whole number from 1"
    if "split" in values and values["split"] not in PARTS:
        yield f"the split is {values['split']!r} — expected train, val or test"
    if values.get("node") and not _is_number(values["node"], 0):
        yield f"the node is {values['node']!r} — expected the id of a node, or nothing"


def _is_number(text: str, least: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 11 and least <= int(text) <= LARGEST_ID


def _usual_split(root: Path) -> SplitName:
    columns = {column for path in _manifests(root)[:1] for column in columns_of(path)}
    return "folds" if "fold" in columns else "official" if "split" in columns else "ratio"


CSV = Layout(
    name="csv",
    holds="a CSV file with the columns path and class",
    recognises=lambda root: bool(_manifests(root)),
    usual_split=_usual_split,
    clips=csv_clips,
)
