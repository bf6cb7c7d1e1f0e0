"""Nodes whose embeddings differ in their tokens, with samples of all of them: every strategy trains on the whole."""

from pathlib import Path

import pytest
import torch
from federations import after, federation_of, setup_of

from feda2v_cli.federation.setup import Setup
from feda2v_cli.federation.strategy.registry import STRATEGIES
from feda2v_cli.federation.synthetic import deal_samples

#: Two nodes are trained together, for their items are as many of each number of tokens.
HOLDINGS, TOKENS = [[0], [1], [2, 3], [0, 3]], [5, 5, 1, 2]


def mixed(strategy: str, **more: object) -> Setup:
    return setup_of(
        HOLDINGS, samples=3, use=("local", "server"), refresh="round", tokens=TOKENS, strategy=strategy,
        server_epochs=1, **more,
    )  # fmt: skip


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_every_strategy_trains_on_clips_and_samples_of_all_kinds(strategy: str, tmp_path: Path) -> None:
    federation = federation_of(mixed(strategy), tmp_path)
    before = federation.evaluate(0) if strategy != "none" else None

    for number in (1, 2):
        done = federation.run_round(number)
        assert not done.skipped

    measured = federation.evaluate(2)
    assert all(torch.isfinite(flat).all() for flat in federation.adapters.values())
    if before is not None:
        assert all(measured.loss[space] < before.loss[space] for space in measured.loss)


@pytest.mark.parametrize("strategy", ["fedavg", "kd", "central"])
def test_what_nodes_train_does_not_depend_on_who_is_trained_beside_them(strategy: str, tmp_path: Path) -> None:
    (tmp_path / "together").mkdir()
    (tmp_path / "alone").mkdir()

    together = after(mixed(strategy), tmp_path / "together", 2).adapters
    alone = after(mixed(strategy, budget=1), tmp_path / "alone", 2).adapters

    assert all(torch.equal(together[space], alone[space]) for space in together)


def test_samples_on_disk_train_the_same_adapters_as_those_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "held").mkdir()
    (tmp_path / "filed").mkdir()
    held = after(mixed("kd"), tmp_path / "held", 1).adapters
    monkeypatch.setattr("feda2v_cli.federation.inputs.HELD_BYTES", 0)
    monkeypatch.setattr("feda2v_cli.federation.synthetic.HELD_BYTES", 0)

    filed = after(mixed("kd"), tmp_path / "filed", 1).adapters

    assert all(torch.equal(held[space], filed[space]) for space in held)


def test_a_node_trains_on_as_many_items_as_where_nodes_are_alike(tmp_path: Path) -> None:
    setup = mixed("fedavg")
    deal = deal_samples(setup.generators, setup.classes, 3, 0, 1)

    for node in setup.nodes:
        assert len(setup.sampling.of_node(deal, node)) == setup.samples_of(node)
    assert federation_of(setup, tmp_path).run_round(1).loss.keys() == {"clip", "t5"}
