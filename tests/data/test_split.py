"""What divides clips, and blocks of nodes: properties of any data set."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from data_layouts import write_csv, write_esc50, write_vegas, write_vggsound
from hypothesis import assume, given
from hypothesis import strategies as st

from feda2v_cli.data.clip import FileClip
from feda2v_cli.data.dataset import Dataset
from feda2v_cli.data.nodes import NodeClips, check_held_out, clips_of_nodes
from feda2v_cli.data.split import Split, chosen, data_of, in_order, keys_of_node, with_keys
from feda2v_cli.errors import MissingError, UsageError
from feda2v_cli.profile.contradictions import contradictions
from feda2v_cli.profile.schema import BlockSection, DataSection, NodeSection, Profile

PLACE = Path("data")


def dataset_of(classes: dict[str, list[str | None]]) -> Dataset:
    """A data set whose classes have clips of these sources."""
    clips = [
        FileClip(f"{name}-{number}.wav", name, source=source, path=PLACE)
        for name, sources in classes.items()
        for number, source in enumerate(sources)
    ]
    return Dataset("folder", PLACE, tuple(clips), "ratio")


def ratio(train: float, val: float, test: float, seed: int = 0) -> Split:
    return Split("ratio", {}, {"train": train, "val": val, "test": test}, seed)


def sizes(parts: Any) -> tuple[int, ...]:
    return tuple(len(parts[part]) for part in ("train", "val", "test"))


def profile_of(*nodes: dict[str, Any], **data: Any) -> Profile:
    return Profile.model_validate({"nodes": nodes, "data": data})


RATIOS = st.sampled_from([(0.8, 0.1, 0.1), (0.7, 0.0, 0.3), (0.5, 0.2, 0.1), (1.0, 0.0, 0.0)])
SOURCES = st.lists(st.sampled_from([None, None, "a", "b", "c", "d", "e"]), min_size=1, max_size=40)


@given(st.dictionaries(st.sampled_from(["dog", "cow", "pig"]), SOURCES, min_size=1), RATIOS, st.integers(0, 3))
def test_no_clip_is_in_two_parts_and_no_source_either(
    classes: dict[str, list[str | None]], shares: tuple[float, float, float], seed: int
) -> None:
    dataset = dataset_of(classes)
    divided = ratio(*shares, seed).divide(dataset)

    clips = [clip for parts in divided.values() for part in parts.values() for clip in part]
    assert len(clips) == len(set(clips))
    if sum(shares) == 1:
        assert set(clips) == set(dataset.clips)
    by_source: dict[str, set[str]] = {}
    for parts in divided.values():
        for part, own in parts.items():
            for clip in own:
                if clip.source is not None:
                    by_source.setdefault(clip.source, set()).add(part)
    assert all(len(parts) == 1 for parts in by_source.values())


@pytest.mark.parametrize(
    ("clips", "shares", "expected"),
    [
        (40, (0.8, 0.1, 0.1), (32, 4, 4)),
        (320, (0.8, 0.1, 0.1), (256, 32, 32)),
        (10, (0.5, 0.0, 0.2), (5, 0, 2)),
        (5, (0.8, 0.1, 0.1), (3, 1, 1)),
        (2, (0.8, 0.1, 0.1), (1, 0, 1)),
        (1, (0.5, 0.0, 0.5), (1, 0, 0)),
    ],
)
def test_each_class_is_divided_by_the_ratio_and_each_part_has_a_clip_if_there_are_enough(
    clips: int, shares: tuple[float, float, float], expected: tuple[int, ...]
) -> None:
    divided = ratio(*shares).divide(dataset_of({"dog": [None] * clips, "cow": [None] * 40}))

    assert sizes(divided["dog"]) == expected


def test_sources_of_several_clips_are_divided_as_nearly_as_they_allow() -> None:
    divided = ratio(0.8, 0.0, 0.2).divide(dataset_of({"dog": [source for source in "abcdefghij" for _ in range(4)]}))

    assert sizes(divided["dog"]) == (32, 0, 8)


def test_another_seed_divides_otherwise_and_the_same_alike_wherever_the_data_lie() -> None:
    dataset = dataset_of({"dog": [None] * 40})
    moved = Dataset("folder", Path("elsewhere"), dataset.clips[::-1], "ratio")
    one, same, other = (
        frozenset(ratio(0.8, 0.1, 0.1, seed).divide(data)["dog"]["train"])
        for seed, data in ((0, dataset), (0, moved), (1, dataset))
    )

    assert one == same != other


def test_a_class_is_divided_alike_whatever_classes_a_run_is_about(tmp_path: Path) -> None:
    root = write_vegas(tmp_path / "data", ("dog", "drum", "printer"), 20)
    (alone,) = clips_of_nodes(profile_of({"id": 0, "classes": ["dog"]}, root=root))
    (among,) = clips_of_nodes(profile_of({"id": 7, "classes": ["printer", "dog"]}, root=root))

    assert alone.train == tuple(clip for clip in among.train if clip.class_name == "dog")


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=6),
    st.tuples(st.integers(0, 30), st.integers(0, 10), st.integers(0, 10)),
    st.integers(0, 3),
)
def test_blocks_one_after_the_other_share_no_clip_and_have_each_parts_share(
    lengths: list[int], counts: tuple[int, int, int], seed: int
) -> None:
    clips = iter(dataset_of({"dog": [None] * sum(counts)}).clips)
    named = zip(("train", "val", "test"), counts, strict=True)
    parts: Any = {name: [next(clips) for _ in range(count)] for name, count in named}
    seen: Counter[Any] = Counter()
    start = 0
    for length in lengths:
        block = chosen(parts, in_order(parts, seed)[slice(*BlockSection(size=length, start=start).bounds("dog"))])
        whole = [clip for part in block.values() for clip in part]
        assert len(whole) == max(0, min(length, sum(counts) - start))
        for part, own in block.items():
            expected = len(whole) * len(parts[part]) / max(1, sum(counts))
            assert abs(len(own) - expected) < 2
        seen.update(whole)
        start += length
    assert max(seen.values(), default=1) == 1
    if start >= sum(counts):
        assert len(seen) == sum(counts)


BLOCKS = st.builds(
    lambda size, by, number, seed: {"size": size, by: number, "seed": seed},
    st.integers(1, 6),
    st.sampled_from(["id", "start"]),
    st.integers(0, 6),
    st.sampled_from([0, 0, 0, 5]),
)
NODES = st.lists(st.tuples(st.sets(st.sampled_from(["dog", "cow"]), min_size=1), BLOCKS), min_size=1, max_size=4)


@given(NODES)
def test_two_nodes_blocks_never_share_a_clip_in_a_profile_that_is_valid(nodes: list[tuple[set[str], Any]]) -> None:
    profile = profile_of(
        *({"id": number, "classes": sorted(classes), "block": block} for number, (classes, block) in enumerate(nodes))
    )
    assume(not contradictions(profile))
    parts: Any = {"train": dataset_of({"dog": [None] * 100}).clips, "val": (), "test": ()}
    held: Counter[tuple[str, Any]] = Counter()
    for node in profile.nodes:
        assert node.block is not None
        for name in node.classes:
            start, end = node.block.bounds(name)
            order = in_order(parts, node.block.seed)
            held.update((name, clip) for clip in chosen(parts, order[start:end])["train"])
    assert max(held.values()) == 1


def test_blocks_of_vegas_are_divided_as_the_whole_class_is(tmp_path: Path) -> None:
    root = write_vegas(tmp_path / "data", ("dog",), 40, takes=1)
    blocks = [{"id": number, "classes": ["dog"], "block": {"size": 10, "id": number}} for number in range(4)]
    nodes = clips_of_nodes(profile_of(*blocks, root=root, train_ratio=0.8, val_ratio=0.1))

    assert [(len(node.train), len(node.val), len(node.test)) for node in nodes] == [(8, 1, 1)] * 4
    assert len({clip for node in nodes for clip in (*node.train, *node.val, *node.test)}) == 40
    (alone,) = clips_of_nodes(profile_of(blocks[2], root=root, train_ratio=0.8, val_ratio=0.1))
    assert alone.train == nodes[2].train


def test_blocks_for_which_there_are_not_clips_enough_are_an_error(tmp_path: Path) -> None:
    root = write_vegas(tmp_path / "data", ("dog", "drum"), 12)
    profile = profile_of({"id": 3, "classes": ["dog", "drum"], "block": {"size": 5, "id": 2}}, root=root)

    with pytest.raises(MissingError, match="not clips enough") as caught:
        clips_of_nodes(profile)
    assert f"node 3: clips 11 to 15 of dog, of which there are 12 in {root}" in caught.value.details


def test_clips_per_class_keep_the_ratio_and_a_smaller_number_is_a_part_of_a_larger() -> None:
    parts = ratio(0.8, 0.0, 0.2).divide(dataset_of({"dog": [None] * 100}))["dog"]
    ten, twenty, all_of_them = (chosen(parts, in_order(parts, 0)[:most]) for most in (10, 20, 1000))

    assert (sizes(ten), sizes(twenty)) == ((8, 0, 2), (16, 0, 4))
    assert all(set(ten[part]) <= set(twenty[part]) for part in ("train", "test"))
    assert sizes(all_of_them) == sizes(parts)


@pytest.mark.parametrize("kind", ["folds", "official"])
def test_a_split_that_the_data_set_does_not_have_is_refused(kind: str, tmp_path: Path) -> None:
    root = write_vegas(tmp_path / "data", ("dog",))

    with pytest.raises(UsageError, match=f"data.split = {kind}") as caught:
        clips_of_nodes(profile_of({"id": 0, "classes": ["dog"]}, root=root, split=kind))
    assert caught.value.hint == "--set data.split=ratio"


def test_nodes_of_several_layouts_are_each_divided_in_their_own_way(tmp_path: Path) -> None:
    nodes = clips_of_nodes(
        profile_of(
            {"id": 0, "classes": ["dog"], "root": write_vegas(tmp_path / "vegas", ("dog",), 20)},
            {"id": 1, "classes": ["rain"], "dataset": "esc50"} | {"root": write_esc50(tmp_path / "esc50")},
            {"id": 2, "classes": ["dog"], "root": write_vggsound(tmp_path / "vggsound", ("dog",))},
            {"id": 3, "classes": ["frog"], "dataset": "builtin"},
            {"id": 4, "classes": ["dog"], "root": tmp_path / "esc50", "split": "ratio", "train_ratio": 0.6},
        )
    )

    assert [(node.split.kind, len(node.train), len(node.test)) for node in nodes] == [
        ("ratio", 16, 4), ("folds", 8, 2), ("official", 8, 2), ("folds", 32, 8), ("ratio", 6, 4),
    ]  # fmt: skip


def test_figures_are_measured_on_what_the_profile_says(tmp_path: Path) -> None:
    root = write_vegas(tmp_path / "data", ("dog",), 20, takes=1)
    settings: dict[str, Any] = {"root": root, "val_ratio": 0.1, "train_ratio": 0.6}

    def node(**more: Any) -> NodeClips:
        return clips_of_nodes(profile_of({"id": 0, "classes": ["dog"]}, **settings, **more))[0]

    assert node().held_out == node().test
    assert node(evaluate_on=["val"]).held_out == node().val
    both = node(evaluate_on=["val", "test"])
    assert (set(both.held_out), len(both.used)) == ({*both.val, *both.test}, 20)
    assert not set(both.train) & set(both.held_out)


def test_a_split_that_holds_nothing_out_is_told_with_what_would(tmp_path: Path) -> None:
    nodes = clips_of_nodes(
        profile_of({"id": 0, "classes": ["dog"]}, root=write_vegas(tmp_path / "data", ("dog",)), train_ratio=1.0)
    )

    with pytest.raises(MissingError, match="no node has a clip that is held out") as caught:
        check_held_out(nodes, "figures need them")
    assert "divided by the ratio 1 / 0 / 0" in str(caught.value)


def test_a_manifest_says_which_node_holds_a_clip(tmp_path: Path) -> None:
    root = write_csv(tmp_path / "data", ("dog",), 20, column="split", nodes=2)
    nodes = clips_of_nodes(profile_of(*({"id": number, "classes": ["dog"]} for number in range(2)), root=root))

    assert [len(node.train) + len(node.test) for node in nodes] == [10, 10]
    assert not set(nodes[0].train) & set(nodes[1].train)


def test_a_node_that_a_manifest_gives_no_clip_is_told_which_nodes_have_them(tmp_path: Path) -> None:
    root = write_csv(tmp_path / "data", ("dog",), 20, column="fold", nodes=2)
    with pytest.raises(MissingError, match="which node holds a clip") as refused:
        clips_of_nodes(profile_of({"id": 3, "classes": ["dog"]}, root=root))
    assert refused.value.details == (f"node 3: {root} gives all clips of dog to nodes 0, 1",)


@pytest.mark.parametrize(
    ("node", "data"),
    [
        ({}, {"split": "folds"}),
        ({"split": "official"}, {}),
        ({"split": "ratio", "train_ratio": 0.7}, {"val_ratio": 0.1, "split_seed": 3}),
        ({"block": {"size": 3, "id": 1, "seed": 42}}, {"split": "ratio", "clips_per_class": 9}),
        ({"block": {"size": {"dog": 3}, "start": {"dog": 2}}}, {"split": "folds"}),
    ],
)
def test_what_a_checkpoint_says_of_a_nodes_clips_gives_the_same_clips_again(
    node: dict[str, Any], data: dict[str, Any]
) -> None:
    section = DataSection.model_validate(data)
    own = NodeSection.model_validate({"id": 0, "classes": ("dog",)} | node)
    split = Split.of(section, own, "folds")
    keys = keys_of_node(section, own, split)

    again = with_keys(NodeSection(id=0, classes=("dog",)), keys)
    renewed = data_of(DataSection(), keys, {})

    assert Split.of(renewed, again, "ratio") == split
    assert (again.block and again.block.bounds("dog")) == (own.block and own.block.bounds("dog"))
    assert keys_of_node(renewed, again, split) == keys
