"""Data dealt to nodes: every clip once, to somebody who can use it."""

from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from data_layouts import write_vegas
from hypothesis import given
from hypothesis import strategies as st

from feda2v_cli.data.clip import FileClip
from feda2v_cli.data.dataset import Dataset
from feda2v_cli.data.partition import Dealing, deal
from feda2v_cli.data.split import Split, chosen, in_order
from feda2v_cli.errors import MissingError, UsageError
from feda2v_cli.profile.contradictions import contradictions
from feda2v_cli.profile.schema import NodeSection, Profile

WAYS = st.sampled_from(["iid", "class", "dirichlet:0.05", "dirichlet:0.5", "dirichlet:100"])


def classes_of(counts: dict[str, int], train: float = 0.8) -> Any:
    named = [(name, number) for name, count in counts.items() for number in range(count)]
    named = [(name, number) for name, count in counts.items() for number in range(count)]
    clips = tuple(FileClip(f"{name}-{number}.wav", name, path=Path("data")) for name, number in named)
    ratios: Any = {"train": train, "val": 0.0, "test": 1 - train}
    return Split("ratio", {}, ratios, 0).divide(Dataset("folder", None, clips, "ratio"))


def held_by(node: NodeSection, classes: Any) -> list[tuple[str, Any]]:
    """Part and clip of all that a node holds."""
    held = []
    for name in node.classes:
        parts = classes[name]
        if node.block is not None:
            start, end = node.block.bounds(name)
            parts = chosen(parts, in_order(parts, node.block.seed)[start:end])
        held += [(part, clip) for part, clips in parts.items() for clip in clips]
    return held


def counts_of(node: NodeSection, classes: Any) -> dict[str, int]:
    held = [clip.class_name for _, clip in held_by(node, classes)]
    return {name: held.count(name) for name in node.classes}


@given(
    st.dictionaries(st.sampled_from(["dog", "cow", "pig", "rain"]), st.integers(2, 60), min_size=1),
    st.integers(1, 9),
    WAYS,
    st.integers(0, 5),
    st.sampled_from([0.8, 0.5]),
    st.integers(1, 8),
)
def test_parts_are_disjoint_and_complete_and_as_many_clips_train_as_generators_need(
    counts: dict[str, int], nodes: int, by: str, seed: int, train: float, fewest: int
) -> None:
    classes = classes_of(counts, train)
    sections: tuple[NodeSection, ...] = ()
    with suppress(MissingError):  # there may be too few clips, which has a test of its own
        sections = deal(classes, nodes, Dealing.parse(by), seed, fewest)
    if not sections:
        return

    held = [held_by(section, classes) for section in sections]
    clips = [clip for own in held for _, clip in own]
    assert len(clips) == len(set(clips)) == sum(counts.values())
    assert [section.id for section in sections] == list(range(nodes))
    for section, own in zip(sections, held, strict=True):
        training = Counter(clip.class_name for part, clip in own if part == "train")
        assert all(training[name] >= min(fewest, len(classes[name]["train"])) for name in section.classes)
    assert contradictions(Profile(nodes=sections)) == []


def test_iid_gives_every_node_an_equal_part_of_each_class() -> None:
    classes = classes_of({"dog": 40, "cow": 42})
    sections = deal(classes, 4, Dealing("iid"), 0, 2)

    assert [counts_of(node, classes)["dog"] for node in sections] == [10] * 4
    assert sorted(counts_of(node, classes)["cow"] for node in sections) == [10, 10, 11, 11]


def test_by_class_gives_every_node_classes_of_its_own_or_parts_of_one() -> None:
    classes = classes_of({"dog": 40, "cow": 40, "pig": 40, "rain": 20})
    few = deal(classes, 2, Dealing("class"), 0, 2)
    many = deal(classes, 6, Dealing("class"), 0, 2)

    assert sorted(name for node in few for name in node.classes) == ["cow", "dog", "pig", "rain"]
    assert all(node.block is None for node in few)
    assert [len(node.classes) for node in many] == [1] * 6
    assert sorted(sum(counts_of(node, classes).values()) for node in many) == [20, 20, 20, 20, 20, 40]


def test_a_small_alpha_makes_nodes_that_differ_and_a_large_one_nodes_that_are_alike() -> None:
    classes = classes_of({"dog": 200, "cow": 200, "pig": 200})

    def most(by: str) -> int:
        return max(max(counts_of(node, classes).values()) for node in deal(classes, 5, Dealing.parse(by), 1, 2))

    assert most("dirichlet:0.05") > 150
    assert most("dirichlet:1000") < 60


def test_the_same_seed_deals_alike_and_another_does_not() -> None:
    classes = classes_of({"dog": 40, "cow": 40})
    one, same, other = (deal(classes, 3, Dealing("dirichlet", 0.5), seed, 2) for seed in (0, 0, 1))

    assert one == same != other


def test_more_nodes_than_there_are_clips_for_are_refused_with_how_many_there_may_be() -> None:
    with pytest.raises(MissingError, match="clips for 2 nodes at most, and 3 are asked for") as caught:
        deal(classes_of({"dog": 10}), 3, Dealing("iid"), 0, 2)
    assert caught.value.hint == "--nodes 2"


@pytest.mark.parametrize("by", ["idd", "dirichlet", "dirichlet:0", "dirichlet:x", "class:3", "dirichlet:nan"])
def test_a_way_that_is_none_is_refused(by: str) -> None:
    with pytest.raises(UsageError, match=f"--by {by} — ") as caught:
        Dealing.parse(by)
    assert caught.value.hint is not None
    Dealing.parse(caught.value.hint.removeprefix("--by "))


def test_the_command_writes_a_profile_that_others_take(tmp_path: Path, feda2v: Any) -> None:
    write_vegas(tmp_path / "VEGAS", ("dog", "drum", "printer"), 20)
    words = ("profiles", "partition", "--data-root", "VEGAS", "--nodes", "4", "-o", "mine.toml")

    settings = ("-s", "data.val_ratio=0.1", "-s", "generator.fewest_clips=2")
    dealt = feda2v(*words, "--by", "dirichlet:0.5", "--seed", "1", *settings)
    assert (dealt.returncode, dealt.stderr) == (0, "")
    assert "60 clips, each held by one of 4 nodes; wrote mine.toml" in dealt.stdout
    assert feda2v(*words).returncode == 4
    text = (tmp_path / "mine.toml").read_text()
    assert text.startswith("# VEGAS dealt to 4 nodes, by dirichlet:0.5, seed 1.\n")
    assert '[data]\ndataset = "vegas"\nval_ratio = 0.1\nroot = "VEGAS"\n' in text
    planned = feda2v("train-generators", "-p", "mine.toml", "--dry-run")
    assert planned.returncode == 0, planned.stderr
    warned = feda2v(*words[:-1], "other.toml", "--by", "iid")
    assert "4 nodes hold fewer than generator.fewest_clips = 8 training clips of a class (4 at least)" in warned.stderr


def test_a_profile_that_is_named_keeps_what_it_says_beside_its_nodes(tmp_path: Path, feda2v: Any) -> None:
    write_vegas(tmp_path / "VEGAS", ("dog", "drum"), 20)
    (tmp_path / "base.toml").write_text(
        '# Mine.\n[data]\nroot = "VEGAS"\n[generator]\nepochs = 3 # few\n[[nodes]]\nid = 7\nclasses = ["dog"]\n'
    )
    words = ("profiles", "partition", "-p", "base.toml", "--nodes", "2", "--by", "class", "-o", "mine.toml")

    assert feda2v(*words).returncode == 0
    text = (tmp_path / "mine.toml").read_text()
    assert text.startswith("# Mine.\n")
    assert "epochs = 3 # few" in text
    assert text.count("[[nodes]]") == 2
    assert "id = 7" not in text
