from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from feda2v_cli.data.nodes import clips_of_nodes
from feda2v_cli.errors import MissingError
from feda2v_cli.profile.schema import Profile

Esc50 = Callable[..., Path]


def a_profile(*nodes: dict[str, Any], **data: Any) -> Profile:
    return Profile.model_validate({"nodes": nodes, "data": data})


def test_a_node_holds_the_clips_of_its_classes_in_the_folds_of_the_profile() -> None:
    (node,) = clips_of_nodes(a_profile({"id": 3, "classes": ("dog", "rain")}, train_folds=(1, 2), test_folds=(4,)))

    assert node.node_id == 3
    assert {(clip.class_name, clip.fold) for clip in node.train} == {("dog", 1), ("dog", 2), ("rain", 1), ("rain", 2)}
    assert {(clip.class_name, clip.fold) for clip in node.test} == {("dog", 4), ("rain", 4)}
    assert (len(node.train), len(node.test)) == (32, 16)


def test_clips_are_sorted_whatever_the_order_of_classes() -> None:
    one, other = clips_of_nodes(a_profile({"id": 0, "classes": ("dog", "cow")}, {"id": 1, "classes": ("cow", "dog")}))

    assert one.train == other.train
    assert [clip.name for clip in one.train] == sorted(
        (clip.name for clip in one.train), key=lambda name: (name[2:5], name[0], name)
    )


def test_a_node_may_have_a_data_set_of_its_own_and_each_is_opened_once(esc50: Esc50) -> None:
    root = esc50()
    first, second, third = clips_of_nodes(
        a_profile(
            {"id": 0, "classes": ("dog",)},
            {"id": 1, "classes": ("dog",), "root": root},
            {"id": 2, "classes": ("sea_waves",), "dataset": "esc50", "root": root},
        )
    )

    assert (first.dataset.name, second.dataset.root, len(second.train)) == ("builtin", root, 8)
    assert third.dataset.clips == second.dataset.clips


def test_a_node_may_keep_to_the_builtin_sounds_when_the_others_do_not(esc50: Esc50) -> None:
    _, node = clips_of_nodes(
        a_profile({"id": 0, "classes": ("dog",)}, {"id": 1, "classes": ("frog",), "dataset": "builtin"}, root=esc50())
    )

    assert (node.dataset.name, len(node.train)) == ("builtin", 32)


def test_all_classes_that_the_data_lacks_are_named_at_once() -> None:
    profile = a_profile({"id": 0, "classes": ("dgo", "cow")}, {"id": 1, "classes": ("rain", "thunderstorm")})

    with pytest.raises(MissingError, match="2 classes") as caught:
        clips_of_nodes(profile)
    assert "node 0: no class dgo in the built-in sounds; did you mean dog?" in caught.value.details
    assert "node 1: no class thunderstorm in the built-in sounds" in caught.value.details


def test_a_node_without_clips_that_train_is_an_error(esc50: Esc50) -> None:
    profile = a_profile({"id": 0, "classes": ("dog",)}, root=esc50(folds=range(5, 6)))

    with pytest.raises(MissingError, match=r"data.train_folds = \[1, 2, 3, 4\]") as caught:
        clips_of_nodes(profile)
    assert caught.value.details == (f"node 0: no clip of dog; the folds of {profile.data.root} are 5",)


def test_a_class_without_clips_that_train_is_an_error(esc50: Esc50) -> None:
    root = esc50()
    metadata = root / "meta" / "esc50.csv"
    metadata.write_text(
        "\n".join(line for line in metadata.read_text().splitlines() if "Sea" not in line or ",5," in line)
    )

    with pytest.raises(MissingError) as caught:
        clips_of_nodes(a_profile({"id": 0, "classes": ("dog", "sea_waves")}, root=root))
    assert caught.value.details == (f"node 0: no clip of sea_waves; the folds of {root} are 1, 2, 3, 4, 5",)


def test_a_node_without_its_unreadable_clips_keeps_the_rest() -> None:
    (node,) = clips_of_nodes(a_profile({"id": 0, "classes": ("dog",)}))

    rest = node.without([node.train[0], node.test[0]])

    assert (rest.train, rest.test) == (node.train[1:], node.test[1:])


def test_a_class_that_is_unreadable_altogether_is_an_error() -> None:
    (node,) = clips_of_nodes(a_profile({"id": 0, "classes": ("dog", "cow")}))

    with pytest.raises(MissingError, match="node 0 has no usable clip of cow"):
        node.without([clip for clip in node.train if clip.class_name == "cow"])
