from pathlib import Path

import pytest

from feda2v_cli.errors import FailedError, MissingError, OverwriteError, UsageError
from feda2v_cli.legacy.config.files import plan, save


@pytest.fixture
def configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.json", "b c.json", "configs/d.json", "configs/deep/e.json", "configs/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    return tmp_path


def jobs(*sources: str, output: str | None = None, force: bool = False) -> list[tuple[str, str | None]]:
    planned = plan(
        [Path(source) for source in sources],
        None if output is None else Path(output),
        force=force,
        into_directory=output is not None and output.endswith("/"),
    )
    return [(str(job.source), None if job.output is None else str(job.output)) for job in planned]


@pytest.mark.usefixtures("configs")
class TestPlan:
    def test_one_file_goes_to_stdout(self) -> None:
        assert jobs("a.json") == [("a.json", None)]

    def test_one_file_goes_to_a_file(self) -> None:
        assert jobs("b c.json", output="x y.toml") == [("b c.json", "x y.toml")]

    def test_one_file_goes_into_a_directory_that_is_there(self) -> None:
        assert jobs("a.json", output="configs") == [("a.json", "configs/a.toml")]

    def test_one_file_goes_into_a_directory_that_is_not_there_yet(self) -> None:
        assert jobs("a.json", output="new/") == [("a.json", "new/a.toml")]

    def test_several_files_go_into_a_directory(self) -> None:
        assert jobs("a.json", "b c.json", output="new") == [("a.json", "new/a.toml"), ("b c.json", "new/b c.toml")]

    def test_a_directory_means_its_json_files_with_those_below(self) -> None:
        assert jobs("configs", output="new") == [
            ("configs/d.json", "new/d.toml"),
            ("configs/deep/e.json", "new/deep/e.toml"),
        ]

    def test_several_files_cannot_go_to_stdout(self) -> None:
        with pytest.raises(UsageError, match="2 files cannot go to stdout — expected a directory for them"):
            jobs("a.json", "b c.json")

    def test_several_files_cannot_go_into_a_file(self) -> None:
        with pytest.raises(UsageError, match=r"-o b c\.json is a file — expected a directory for 2 files"):
            jobs("configs", output="b c.json")

    def test_two_files_cannot_become_one(self) -> None:
        Path("configs/deep/a.json").write_text("{}")

        with pytest.raises(UsageError, match=r"a\.json and configs/deep/a\.json would both become new/a\.toml"):
            jobs("a.json", "configs/deep/a.json", output="new")

    def test_a_file_cannot_become_itself(self) -> None:
        with pytest.raises(UsageError, match=r"a\.json is the configuration itself"):
            jobs("a.json", output="a.json", force=True)

    def test_a_file_that_is_there_is_not_overwritten(self) -> None:
        Path("a.toml").touch()

        with pytest.raises(OverwriteError, match=r"a\.toml is there already"):
            jobs("a.json", output="a.toml")

    def test_all_files_that_are_there_are_named(self) -> None:
        Path("configs/deep/e.toml").touch()
        Path("configs/d.toml").touch()

        with pytest.raises(OverwriteError) as caught:
            jobs("configs", output="configs")

        assert str(caught.value) == "2 files are there already\n  configs/d.toml\n  configs/deep/e.toml"

    def test_force_overwrites(self) -> None:
        Path("a.toml").touch()

        assert jobs("a.json", output="a.toml", force=True) == [("a.json", "a.toml")]

    def test_a_source_that_is_not_there_is_missing(self) -> None:
        with pytest.raises(MissingError, match=r"z\.json is not there"):
            jobs("z.json")

    def test_a_directory_without_json_files_is_missing_them(self) -> None:
        Path("empty").mkdir()

        with pytest.raises(MissingError, match=r"empty holds no \.json file"):
            jobs("empty", output="new")


def test_a_file_is_written_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    save("é\n", tmp_path / "deep" / "new.toml")

    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["new.toml"]
    assert (tmp_path / "deep" / "new.toml").read_bytes() == "é\n".encode()


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(FailedError, match=r"file/new\.toml cannot be written"):
        save("x", tmp_path / "file" / "new.toml")


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "new.toml" / "inner").mkdir(parents=True)

    with pytest.raises(FailedError, match=r"new\.toml cannot be written"):
        save("x", tmp_path / "new.toml")

    assert [path.name for path in tmp_path.iterdir()] == ["new.toml"]
