import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from feda2v_cli.errors import FailedError, UsageError
from feda2v_cli.paths import entries, expanded, is_directory, is_file, is_named, is_there

NOBODY = 65534
LONG = Path("/") / ("x" * 300)


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    """A directory that may not be looked into, not even by those whom the system lets look everywhere."""
    directory = tmp_path / "locked"
    directory.mkdir()
    (directory / "file").touch()
    for path in (tmp_path, *tmp_path.parents[:-2]):
        path.chmod(path.stat().st_mode | 0o111)
    directory.chmod(0)
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(NOBODY)
    yield directory
    os.seteuid(mine)
    directory.chmod(0o700)


@pytest.mark.parametrize("look", [is_there, is_named, is_file, is_directory])
def test_what_may_not_be_looked_at_is_an_error_in_the_systems_words(locked: Path, look) -> None:
    with pytest.raises(FailedError, match="locked/file cannot be looked at — Permission denied"):
        look(locked / "file")
    with pytest.raises(FailedError, match="File name too long"):
        look(LONG)


def test_a_directory_that_may_not_be_listed_is_an_error(locked: Path) -> None:
    with pytest.raises(FailedError, match="locked cannot be listed — Permission denied"):
        entries(locked)


def test_what_is_not_there_is_absent_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    assert not is_there(tmp_path / "absent")
    assert not is_there(tmp_path / "file" / "below")
    assert not is_there(tmp_path / "link")
    assert is_named(tmp_path / "link")
    assert is_file(tmp_path / "file")
    assert is_directory(tmp_path)


@pytest.mark.parametrize("path", ["~no-such-user/x", "~no-such-user"])
def test_a_home_that_is_not_known_is_an_error_with_the_way_out(path: str) -> None:
    with pytest.raises(UsageError, match="the user no-such-user is not known here") as error:
        expanded(Path(path), "embedding.cache")
    assert error.value.hint == "--set embedding.cache=DIR"
