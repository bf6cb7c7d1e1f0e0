"""Which generators RUN 2 takes when several sets are there: a broken one never hides a sound one."""

from pathlib import Path

import pytest
from checkpoint_samples import write_set
from checkpoint_scenarios import flip_bit, middle_of

from feda2v_cli.errors import UsageError
from feda2v_cli.job.federate.find_generators import find_generators
from feda2v_cli.verifier.expectation import Expectation, ExpectedNode
from feda2v_cli.verifier.finding import FindingsError

WANTED = Expectation(nodes=(ExpectedNode(0), ExpectedNode(1)))


def found(root: Path) -> str:
    return find_generators(WANTED, ["federate"], lambda _: None, root).base_name


def broken_set(directory: Path, name: str) -> None:
    first, *_ = write_set(directory, "unified", base_name=name)
    flip_bit(first, middle_of(first, "data/0"))


@pytest.mark.parametrize(("broken", "sound"), [("a", "b"), ("b", "a")])
def test_a_broken_set_beside_a_sound_one_in_one_directory_does_not_hide_it(
    tmp_path: Path, broken: str, sound: str
) -> None:
    broken_set(tmp_path / "set", broken)
    write_set(tmp_path / "set", "unified", base_name=sound)
    assert found(tmp_path) == sound


def test_two_sound_sets_in_one_directory_are_a_question_that_names_both(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_set(tmp_path / "set", "unified", base_name=name)
    with pytest.raises(UsageError, match="2 sets of generators") as caught:
        found(tmp_path)
    assert ["--base-name a" in caught.value.details[0], "--base-name b" in caught.value.details[1]] == [True, True]


def test_two_broken_sets_in_one_directory_are_both_told(tmp_path: Path) -> None:
    for name in ("a", "b"):
        broken_set(tmp_path / "set", name)
    with pytest.raises(FindingsError) as caught:
        found(tmp_path)
    assert [Path(finding.path).name[0] for finding in caught.value.findings] == ["a", "b"]
