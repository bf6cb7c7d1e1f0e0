import os
import stat
import threading
from pathlib import Path

import pytest

from feda2v_cli.atomic_write import atomic_write


def write(path: Path, content: bytes = b"new") -> None:
    with atomic_write(path) as file:
        file.write(content)


def test_a_new_file_is_there_with_its_content_and_nothing_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "file")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"new")]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(TypeError), atomic_write(tmp_path / "file") as file:
        file.write("no bytes")  # type: ignore[arg-type]
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]


def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "file").chmod(0o600)
    write(tmp_path / "file")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


@pytest.mark.parametrize("old", [b"old", None])
def test_links_are_followed_and_stay(tmp_path: Path, old: bytes | None) -> None:
    (tmp_path / "far").mkdir()
    if old is not None:
        (tmp_path / "far" / "file").write_bytes(old)
    (tmp_path / "far" / "link").symlink_to("file")
    (tmp_path / "link").symlink_to("far/link")
    write(tmp_path / "link")
    assert os.readlink(tmp_path / "link") == "far/link"
    assert os.readlink(tmp_path / "far" / "link") == "file"
    assert (tmp_path / "far" / "file").read_bytes() == b"new"


def test_a_link_in_a_circle_is_an_error_in_the_systems_words(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        write(tmp_path / "link")


def test_a_read_only_file_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "file").chmod(0o444)
    with pytest.raises(PermissionError, match="the file is read-only"):
        write(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_fifo_is_written_through_and_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "fifo").read_bytes()))
    reader.start()
    write(tmp_path / "link", b"x" * 200_000)
    reader.join(10)
    assert got == [b"x" * 200_000]
    assert stat.S_ISFIFO((tmp_path / "fifo").lstat().st_mode)


def test_a_device_is_written_through_and_stays(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    write(tmp_path / "null")
    with pytest.raises(OSError, match="No space left"):
        write(Path("/dev/full"))
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system does not name open files")
def test_a_file_that_is_open_already_is_written_through(tmp_path: Path) -> None:
    with (tmp_path / "redirected").open("w+b") as file:
        write(Path(f"/proc/self/fd/{file.fileno()}"), b"x")
        assert file.read() == b"x"


def test_a_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        write(tmp_path)
