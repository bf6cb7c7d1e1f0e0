"""Which generators RUN 2 takes when several sets are there: a broken one never hides a sound one."""

import itertools
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from checkpoint_samples import write_set
from checkpoint_scenarios import flip_bit, middle_of

from feda2v_cli.errors import MissingError, UsageError
from feda2v_cli.job.federate.find_generators import find_generators
from feda2v_cli.profile.load import load_profile
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


@pytest.mark.parametrize(
    ("profile", "named"), [("use_pretrained", []), ("unified", ["--profile", "unified"])], ids=["RUN 2", "RUN 1"]
)
def test_where_there_are_none_they_are_to_be_trained_on_what_the_command_was_given(
    tmp_path: Path, profile: str, named: list[str]
) -> None:
    settings = [
        'nodes=[{id = 0, classes = ["dog"]}, {id = 1, classes = ["rain"], tokens = "cls"}]',
        "embedding.tokens=2",
        "generator.type=gaussian",
        "federation.rounds=3",
        "checkpoint.base_name=mine",
    ]
    flags = {"--data-root": ("data.root", str(tmp_path / "my data"))}
    loaded = load_profile(profile, settings=settings, flags=flags, environment={})
    expectation = replace(Expectation.from_profile(loaded, profile, encoder={}), directory=None)
    with pytest.raises(MissingError) as refused:
        find_generators(expectation, ["federate"], lambda _: None, tmp_path / "nothing")
    words = shlex.split(refused.value.hint or "")
    assert words[: 2 + len(named)] == ["feda2v", "train-generators", *named]
    given = [value for option, value in itertools.pairwise(words) if option == "--set"]
    assert (
        load_profile(profile, settings=given, environment={}).profile.model_dump()["nodes"]
        == (loaded.profile.model_dump()["nodes"])
    )
    assert {"embedding.tokens=2", "generator.type=gaussian"} < set(given)
    assert "federation.rounds=3" not in given, "RUN 1 has no use for it"
    options = dict(itertools.pairwise(words))
    assert options["--data-root"] == str(tmp_path / "my data")
    assert (options["--granularity"], options["--base-name"]) == ("unified", "mine")
