from collections.abc import Callable
from pathlib import Path

import pytest

from feda2v_cli.data.dataset import open_dataset
from feda2v_cli.errors import MissingError, UsageError


def test_auto_without_a_root_is_the_builtin_sounds() -> None:
    dataset = open_dataset("auto", None)

    assert (dataset.name, dataset.root, len(dataset.clips), len(dataset.classes)) == ("builtin", None, 600, 15)


def test_auto_with_a_root_is_esc50(esc50: Callable[..., Path]) -> None:
    dataset = open_dataset("auto", esc50())

    assert (dataset.name, dataset.classes, dataset.folds) == ("esc50", ("dog", "sea_waves"), (1, 2, 3, 4, 5))


def test_a_root_that_is_not_there_never_falls_back(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="is not there"):
        open_dataset("auto", tmp_path / "nowhere")


def test_a_root_may_begin_with_the_home_directory(esc50: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    root = esc50()
    monkeypatch.setenv("HOME", str(root.parent))

    assert open_dataset("esc50", Path("~/ESC-50")).root == root


@pytest.mark.parametrize(
    ("dataset", "root", "message"),
    [
        ("esc50", None, "root is not set"),
        ("builtin", Path("x"), "built-in sounds have no root"),
        ("ecs50", None, "no data set ecs50"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(dataset: str, root: Path | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_dataset(dataset, root)
