"""The papers of the house name only what is there."""

import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = {path.stem for path in (ROOT / "feda2v_cli").iterdir()}


def names_in(text: str) -> list[str]:
    """What stands in backticks and is a name of the package, like `data.clip.Clip`."""
    quoted = re.findall(r"`([a-z_]+(?:\.\w+)+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [name for name in quoted if name.partition(".")[0] in ROOMS]


def is_there(name: str) -> bool:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            place = import_module(".".join(["feda2v_cli", *parts[:length]]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(place, part):
                return False
            place = getattr(place, part)
        return True
    return False


def test_every_name_in_the_architecture_is_there() -> None:
    names = names_in(ARCHITECTURE)
    assert len(names) > 60
    assert [name for name in dict.fromkeys(names) if not is_there(name)] == []


def test_a_name_that_is_not_there_would_be_found() -> None:
    assert names_in("`data.clip.Clipp`, `data.clippp` and `data.root`") == [
        "data.clip.Clipp",
        "data.clippp",
        "data.root",
    ]
    assert not any(map(is_there, ("data.clip.Clipp", "data.clippp", "data.root")))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_in_a_document_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    paths = re.findall(r"`((?:feda2v_cli|tests|docs|benchmarks|profiles|\.ci)/[\w./-]*)`", text)
    paths += [str(document.parent / link) for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text)]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_architecture_lists_the_rooms_in_their_order() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    listed = re.findall(r"^\| `(\w+)` \|", ARCHITECTURE, re.MULTILINE)
    assert listed == [layer for layer in layers if "|" not in layer]
