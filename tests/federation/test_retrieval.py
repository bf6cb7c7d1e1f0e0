import pytest
import torch
from federations import CLASSES, federation_of, setup_of

from feda2v_cli.federation.retrieval import RetrievalAccuracy


def test_an_untrained_adapter_is_near_chance_and_a_trained_one_is_not(tmp_path) -> None:
    federation = federation_of(setup_of([[0, 1, 2, 3]], local_epochs=10), tmp_path)
    before = federation.evaluate(0)
    for number in range(1, 6):
        federation.run_round(number)
    after = federation.evaluate(5)
    assert before.accuracy < 0.6
    assert after.accuracy > 0.9
    assert all(after.loss[space] < 0.5 < before.loss[space] for space in ("clip", "t5"))


def test_every_accuracy_is_a_part_of_the_same_counts(tmp_path) -> None:
    federation = federation_of(setup_of([[0, 1], [2, 3]]), tmp_path)
    federation.run_round(1)
    evaluation = federation.evaluate(1)
    values = evaluation.to_dict()
    assert evaluation.confusion.sum() == 20
    assert evaluation.confusion.sum(1).tolist() == [5] * 4
    assert values["accuracy"] == pytest.approx(sum(values["per_class_accuracy"].values()) / 4)
    assert values["accuracy"] == pytest.approx(sum(values["node_accuracy"].values()) / 2)


def test_a_class_or_node_without_a_clip_held_out_has_no_accuracy() -> None:
    evaluation = RetrievalAccuracy(CLASSES[:2], torch.tensor([[3, 1], [0, 0]]), {0: (3, 4), 1: (0, 0)}, {"clip": 2.0})
    values = evaluation.to_dict()
    assert values["per_class_accuracy"] == {"cow": 0.75, "dog": None}
    assert values["node_accuracy"] == {"0": 0.75, "1": None}
    assert values["loss"] == {"clip": 0.5}


def test_without_exchange_nodes_answer_for_themselves_and_are_counted_together(tmp_path) -> None:
    federation = federation_of(setup_of([[0, 1], [2, 3]], strategy="none", local_epochs=10), tmp_path)
    for number in range(1, 6):
        federation.run_round(number)
    evaluation = federation.evaluate(5)
    assert evaluation.confusion.sum() == 40
    assert evaluation.accuracy == pytest.approx(0.5, abs=0.1)
