"""Comments of a configuration, and where they go in the profile."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from feda2v_cli.legacy.config.draft import Draft
from feda2v_cli.profile.key_path import KeyPath, dotted

#: Which section of a profile is home to a section of the earlier system.
_HOMES = {
    "experiment": "experiment",
    "dataset": "data",
    "training": "adapter",
    "federation": "federation",
    "feda2v": "generator",
}


def is_remark(key: str) -> bool:
    """Whether a key of the file is a comment, like `_comment_nodes`."""
    return key.startswith(("_", "//", "#")) or key.lower() == "comment"


def read_remarks(draft: Draft) -> None:
    """Note every comment of the file in the draft."""
    draft.remarks.extend(draft.file.comments)
    for path, value in _remark_keys((), draft.file.values):
        draft.remarks.append((path, _text(value)))
    draft.remarks.sort(key=lambda remark: draft.file.places[remark[0]])


def words(draft: Draft, path: KeyPath, text: str, place: KeyPath) -> list[str]:
    """The lines of a comment; what has lost its place at the top of the profile says which key it spoke of.

    Args:
        draft: the draft.
        path: the key of the file before which the comment stands, or the comment's own.
        text: what it says.
        place: where it goes.
    """
    followed = _followed(draft, path)
    lines = text.splitlines() or [""]
    return [f"{dotted(followed)}: {lines[0]}", *lines[1:]] if place == () and len(followed) > 1 else lines


def anchor(draft: Draft, path: KeyPath, written: Mapping[KeyPath, object]) -> KeyPath:
    """The place in the profile to which a comment belongs.

    Args:
        draft: the draft.
        path: the key of the file before which the comment stands, or the comment's own.
        written: the keys and nodes that the profile holds.

    Returns:
        A key or a node that is written, else the section that it would be in, else (), the top of the profile.
    """
    followed = _followed(draft, path)
    around = [followed[:length] for length in range(len(followed), 1, -1)]
    targets = [target for source in around for target in draft.targets(source)]
    for target in targets:
        if target in written:
            return target
    homes = [*(str(target[0]) for target in targets), _HOMES.get(str(path[0]), "")]
    return next(((home,) for home in homes if any(key[0] == home != "nodes" for key in written)), ())


def _followed(draft: Draft, path: KeyPath) -> KeyPath:
    """The key that a comment speaks of: the next one that is no comment, else the one that holds the comment."""
    parent, name = path[:-1], str(path[-1])
    if not is_remark(name):
        return path
    siblings = list(draft.value(parent)) if parent else list(draft.file.values)
    after = siblings[siblings.index(name) + 1 :]
    following = next((sibling for sibling in after if not is_remark(sibling)), None)
    if following is None:
        return parent or path
    return (*parent, following)


def _remark_keys(parent: KeyPath, values: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Any]]:
    for key, value in values.items():
        if is_remark(key):
            yield (*parent, key), value
        elif isinstance(value, dict):
            yield from _remark_keys((*parent, key), value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    return json.dumps(value, ensure_ascii=False)
