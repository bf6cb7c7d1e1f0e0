from dataclasses import replace

import pytest
import torch
from federations import after, federation_of, setup_of

from feda2v_cli.engine.stack import BYTES_PER_WEIGHT
from feda2v_cli.errors import FailedError
from feda2v_cli.federation.local_training import Task
from feda2v_cli.federation.round import local_training


@pytest.mark.parametrize("strategy", ["fedavg", "fedadam", "median"])
def test_a_round_does_not_depend_on_the_width_of_the_stacks(tmp_path, strategy: str) -> None:
    setup = setup_of([[0, 1], [1, 2], [2, 3], [0, 3]], strategy=strategy)
    (tmp_path / "narrow").mkdir()
    wide, narrow = after(setup, tmp_path, 2), after(replace(setup, budget=1), tmp_path / "narrow", 2)
    assert all(torch.equal(wide.adapters[space], narrow.adapters[space]) for space in wide.adapters)


def test_what_a_node_learns_does_not_depend_on_how_many_clips_its_neighbours_have(tmp_path) -> None:
    setup = setup_of([[0, 1], [1], [2, 3]], strategy="none", clips=7, batch_size=16)
    clips = [replace(node, clips=node.clips[:count]) for node, count in zip(setup.nodes, (14, 5, 11), strict=True)]
    setup = replace(setup, nodes=tuple(clips))
    (tmp_path / "alone").mkdir()
    together, alone = after(setup, tmp_path, 2), after(replace(setup, nodes=setup.nodes[1:2]), tmp_path / "alone", 2)
    for space in ("clip", "t5"):
        assert torch.equal(alone.store.read(2, space, [1]), together.store.read(2, space, [1]))


def test_in_one_shot_no_node_trains_and_the_server_learns_all_classes(tmp_path) -> None:
    setup = setup_of([[0], [1], [2], [3]], samples=8, strategy="one_shot", server_epochs=6, refresh="round")
    federation = federation_of(setup, tmp_path)
    rounds = [federation.run_round(number) for number in range(1, 9)]
    assert [(done.present, done.skipped, done.steps) for done in rounds] == [((), False, 0)] * 8
    assert federation.evaluate(8).accuracy > 0.9


def test_what_a_node_learns_does_not_depend_on_its_neighbours(tmp_path) -> None:
    setup = setup_of([[0, 1], [1, 2], [2, 3]], strategy="none")
    (tmp_path / "alone").mkdir()
    together = federation_of(setup, tmp_path)
    alone = federation_of(replace(setup, nodes=setup.nodes[1:2]), tmp_path / "alone")
    together.run_round(1)
    alone.run_round(1)
    for space in ("clip", "t5"):
        mine, theirs = alone.store.read(1, space, [1]), together.store.read(1, space, [1])
        assert torch.equal(mine, theirs)


def test_samples_of_others_let_nodes_keep_what_others_know(tmp_path) -> None:
    holdings = [[0], [1], [2], [3]]
    samples = setup_of(holdings, samples=6, local_epochs=1)
    (tmp_path / "without").mkdir()
    with_samples = after(samples, tmp_path, 3).evaluate(3)
    without = after(samples.baseline("fedavg"), tmp_path / "without", 3).evaluate(3)
    assert with_samples.accuracy > without.accuracy + 0.2
    assert with_samples.loss["clip"] < without.loss["clip"]


def test_a_baseline_takes_as_many_steps_as_with_samples(tmp_path) -> None:
    setup = setup_of([[0], [1, 2], [3]], samples=5)
    (tmp_path / "baseline").mkdir()
    chosen = federation_of(setup, tmp_path).run_round(1)
    matched = federation_of(setup.baseline("fedavg"), tmp_path / "baseline").run_round(1)
    assert matched.steps == chosen.steps


def test_a_baseline_sees_no_sample(tmp_path) -> None:
    federation = federation_of(setup_of([[0], [1]], samples=5).baseline("fedavg"), tmp_path)
    federation.run_round(1)
    assert len(federation._sampled.pool.labels) == federation._sampled.pool.clips


def test_central_training_sees_every_clip_once(tmp_path) -> None:
    central = setup_of([[0], [1, 2], [3]], samples=5).baseline("central")
    assert [node.clips.tolist() for node in central.trainers] == [list(range(24))]
    assert after(central, tmp_path, 5).evaluate(5).accuracy > 0.5


def test_no_dropout_keeps_central_training_from_a_round(tmp_path) -> None:
    central = federation_of(setup_of([[0], [1], [2]], strategy="central", dropout=1.0, fraction=0.1), tmp_path)
    done = central.run_round(1)
    assert not done.skipped
    assert done.failed == ()
    assert done.steps > 0


def test_a_round_below_the_quorum_changes_nothing(tmp_path) -> None:
    federation = federation_of(setup_of([[0], [1], [2]], dropout=1.0, quorum=1), tmp_path)
    before = dict(federation.adapters)
    done = federation.run_round(1)
    assert done.skipped
    assert (done.present, done.failed) == ((), (0, 1, 2))
    assert all(torch.equal(before[space], federation.adapters[space]) for space in before)


def test_without_exchange_nodes_that_are_not_asked_stay_as_they_are(tmp_path) -> None:
    federation = federation_of(setup_of([[0], [1], [2]], strategy="none", fraction=0.34), tmp_path)
    done = federation.run_round(1)
    moved = [
        not torch.equal(federation.store.read(0, "clip", [node]), federation.store.read(1, "clip", [node]))
        for node in range(3)
    ]
    assert [node for node in range(3) if moved[node]] == list(done.present)


def test_a_node_has_its_own_learning_rate(tmp_path) -> None:
    federation = federation_of(setup_of([[0], [0]], learning_rates=[1e-2, 1e-12], strategy="none"), tmp_path)
    federation.run_round(1)
    start, quick, slow = (federation.store.read(number, "clip", [node]) for number, node in ((0, 0), (1, 0), (1, 1)))
    assert torch.allclose(start, slow, atol=1e-6)
    assert (quick - start).abs().max() > 1e-3


def test_a_proximal_term_keeps_nodes_near_the_server(tmp_path) -> None:
    distances = []
    for proximal in (0.0, 100.0):
        directory = tmp_path / str(proximal)
        directory.mkdir()
        federation = federation_of(setup_of([[0, 1]], strategy="fedprox", proximal=proximal), directory)
        start = federation.adapters["clip"]
        federation.run_round(1)
        distances.append(float((federation.adapters["clip"] - start).norm()))
    assert distances[1] < 0.5 * distances[0]


def test_only_nodes_that_know_a_class_teach_it(tmp_path) -> None:
    """A node whose adapter is nonsense spoils the classes that it knows, and no other."""
    setup = setup_of([[0, 1], [2, 3]], samples=8, use=("kd",), strategy="kd", local_epochs=8, server_epochs=12)
    broken = replace(setup.nodes[1], learning_rates={"clip": 1e-12, "t5": 1e-12})
    federation = after(replace(setup, nodes=(setup.nodes[0], broken)), tmp_path, 2)
    accuracy = federation.evaluate(2).to_dict()["per_class_accuracy"]
    assert accuracy["cow"] == accuracy["dog"] == 1.0


def test_a_loss_that_is_not_a_number_names_node_round_and_cause(tmp_path) -> None:
    federation = federation_of(setup_of([[0], [1], [2]], learning_rates=[1e-3, 1e30, 1e-3]), tmp_path)
    before = dict(federation.adapters)
    with pytest.raises(FailedError) as failure:
        federation.run_round(1)
    assert "node 1: the loss of the adapter to clip became NaN or infinite in round 1" in str(failure.value)
    assert "learning rate 1e+30 is likely too high" in str(failure.value)
    assert failure.value.hint == "--set adapter.clip_learning_rate=1e+29"
    assert all(torch.equal(before[space], federation.adapters[space]) for space in before)


def test_the_learning_rate_falls_to_its_end_over_the_rounds() -> None:
    setup = setup_of([[0]], rounds=11)
    adapter = setup.profile.adapter.model_copy(update={"schedule": "cosine"})
    falling = replace(setup, profile=setup.profile.model_copy(update={"adapter": adapter}))
    shares = [falling.learning_rate_share("clip", number) for number in range(1, 12)]
    assert shares[0] == 1.0
    assert shares[-1] == pytest.approx(0.05)
    assert shares == sorted(shares, reverse=True)


def test_a_stack_is_as_wide_as_the_budget_allows() -> None:
    setup = setup_of([[0]] * 8)
    space = setup.spaces[0]
    one = local_training(setup).cost(space, {2: 6}).bytes
    start = space.initial_parameters(0)
    assert one > len(start) * BYTES_PER_WEIGHT * 0.9
    narrow = replace(setup, budget=3 * one)
    trained = local_training(narrow).train(
        space,
        setup.clips,
        [Task(node.id, node.clips, node.learning_rates["clip"]) for node in setup.nodes],
        lambda nodes: start,  # noqa: ARG005 - one for all
        1,
        lambda models, width: None,  # noqa: ARG005
    )
    assert max(len(stack.nodes) for stack in trained) <= 3


def test_nodes_that_were_not_there_are_left_with_the_servers_adapter(tmp_path) -> None:
    setup = setup_of([[0], [1], [2]], fraction=0.34)
    federation = federation_of(setup, tmp_path)
    done = federation.run_round(1, keep_nodes=True)
    same = [
        torch.equal(federation.adapters_of(node, 1)["clip"], federation.adapters["clip"])
        for node in range(3)
        if node not in done.present
    ]
    assert same == [True, True]


def test_without_exchange_nodes_that_were_not_there_are_left_with_their_own_adapters(tmp_path) -> None:
    federation = federation_of(setup_of([[0], [1], [2]], strategy="none", fraction=0.34), tmp_path)
    for number in range(1, 6):
        federation.run_round(number)
    done = federation.run_round(6, keep_nodes=True)
    for node in range(3):
        before, after_it = (federation.adapters_of(node, number)["clip"] for number in (5, 6))
        assert torch.equal(before, after_it) == (node not in done.present)
