"""All layouts, and which of them a directory has."""

from pathlib import Path

from feda2v_cli.data.layout.esc50 import ESC50
from feda2v_cli.data.layout.esc50_folds import ESC50_FOLDS
from feda2v_cli.data.layout.folder import FOLDER
from feda2v_cli.data.layout.layout import Layout, listing
from feda2v_cli.data.layout.manifest import CSV
from feda2v_cli.data.layout.vegas import VEGAS
from feda2v_cli.data.layout.vggsound import VGGSOUND
from feda2v_cli.errors import FailedError, MissingError
from feda2v_cli.paths import entries, is_directory

#: By name, in the order in which messages tell them.
LAYOUTS = {layout.name: layout for layout in (ESC50, ESC50_FOLDS, VEGAS, VGGSOUND, CSV, FOLDER)}


def layout_of(name: str, root: Path) -> Layout:
    """The layout that a profile names, or that `auto` finds. ESC-50 is `esc50` in the earlier system's folders too.

    Raises:
        MissingError: the root of `auto` is not there, it has none of the layouts, or several.
    """
    if name == "auto":
        return recognise(root)
    if name == ESC50.name and is_directory(root) and not ESC50.recognises(root) and ESC50_FOLDS.recognises(root):
        return ESC50_FOLDS
    return LAYOUTS[name]  # type: ignore[index] # of a checked profile


def recognise(root: Path) -> Layout:
    """The layout of a root that is there, from what lies in it.

    Raises:
        MissingError: it has none of the layouts, or several.
    """
    if not is_directory(root):
        return CSV
    found = _layouts_of(root)
    if len(found) == 1:
        return found[0]
    if found:
        raise MissingError(
            f"{root} could be {' or '.join(layout.name for layout in found)}",
            [f"{layout.name}: it holds {layout.holds}" for layout in found],
            hint=f"--set data.dataset={found[0].name} says which it is",
        )
    beside = [path for path in (root.parent, *entries(root)) if _has_a_layout(path)]
    raise MissingError(
        f"{root} has none of the layouts that are known here",
        [
            f"it holds {listing(root)}",
            *([f"did you mean {' or '.join(map(str, beside[:3]))}?"] if beside else []),
            "looked for:",
            *(f"{layout.name}: {layout.holds}" for layout in LAYOUTS.values()),
        ],
        hint=f"--data-root {beside[0]}" if beside else "--set data.dataset=folder says which it is",
    )


def _has_a_layout(path: Path) -> bool:
    """Whether it could have been meant; what may not be looked at was not."""
    try:
        return is_directory(path) and bool(_layouts_of(path))
    except FailedError:
        return False


def _layouts_of(root: Path) -> list[Layout]:
    """Those that a directory has; directories with sounds mean something only where no metadata says what they are."""
    found = [layout for layout in LAYOUTS.values() if layout is not FOLDER and layout.recognises(root)]
    if not found and FOLDER.recognises(root):
        return [FOLDER]
    return found
