"""Values of data, blocks and splits that contradict each other."""

from typing import Any

import pytest

from feda2v_cli.profile.contradictions import contradictions
from feda2v_cli.profile.schema import Profile


def told(*nodes: dict[str, Any], **data: Any) -> list[str]:
    numbered = [{"id": number, "classes": ["dog"]} | node for number, node in enumerate(nodes)]
    return [str(problem) for problem in contradictions(Profile.model_validate({"nodes": numbered, "data": data}))]


def block(**keys: Any) -> dict[str, Any]:
    return {"block": {"size": 10, **keys}}


@pytest.mark.parametrize(
    ("nodes", "data", "words"),
    [
        ([{}], {"train_ratio": 0.8, "val_ratio": 0.3}, "data.train_ratio = 0.8 — with those of val and test it is"),
        ([{"train_ratio": 0.9}], {"test_ratio": 0.2}, "nodes.0.train_ratio = 0.9 — with the other ratios of this node"),
        ([{}], {"val_folds": [5]}, "data.val_folds = [5] — fold 5 is in data.test_folds too"),
        ([{"dataset": "vegas"}], {}, 'nodes.0.dataset = "vegas" — vegas needs a root'),
        ([block(id=1, start=3)], {}, "nodes.0.block.start = 3 — id says where the block begins"),
        ([block() | {"clips_per_class": 3}], {}, "nodes.0.clips_per_class = 3 — block.size says how many"),
        ([block(size={"cow": 3})], {}, "nodes.0.block.size = {\"cow\": 3} — lacks dog, a class of this node"),
        ([block(size={"dog": 1, "cow": 3})], {}, "nodes.0.block.size.cow = 3 — is no class of this node"),
        ([block(), block()], {}, "nodes.1.block — clips 1 to 10 of dog overlap with 1 to 10 of node 0"),
        ([block(id=0), {"block": {"size": 4, "id": 1}}], {}, "clips 5 to 8 of dog overlap with 1 to 10 of node 0"),
        ([block(), block(id=1, seed=3)], {}, "nodes.1.block.seed = 3 — node 0 shares the class dog and has seed 0"),
        ([{"split": "ratio"}, {}], {}, "nodes.1.split — node 0 shares the class dog and divides it otherwise"),
        ([{"test_ratio": 0.1}, {"test_ratio": 0.2}], {}, "nodes.1.test_ratio = 0.2 — node 0 shares the class dog"),
    ],
)  # fmt: skip
def test_a_contradiction_is_told_with_its_key(nodes: list[dict[str, Any]], data: dict[str, Any], words: str) -> None:
    assert [line for line in told(*nodes, **data) if words in line], told(*nodes, **data)


@pytest.mark.parametrize(
    "nodes",
    [
        [block(id=0), block(id=1)],
        [block(), {"block": {"size": 5, "start": 10}}],
        [block(), block() | {"classes": ["cow"]}],
        [block(), block() | {"root": "elsewhere"}],
        [{"split": "ratio"}, {"root": "elsewhere", "split": "official"}],
        [{"train_ratio": 0.7}, {"train_ratio": 0.7}],
    ],
)
def test_nodes_that_share_no_clips_do_not_contradict_each_other(nodes: list[dict[str, Any]]) -> None:
    assert told(*nodes) == []
