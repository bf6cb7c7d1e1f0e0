import pytest
import torch

from feda2v_cli.image.score import score, shuffled


def test_accuracy_is_over_pictures_and_balanced_accuracy_over_classes() -> None:
    cosines = torch.tensor([[0.3, 0.1], [0.3, 0.1], [0.3, 0.1], [0.3, 0.1]])
    found = score(cosines, [0, 0, 0, 1])
    assert found.accuracy == 0.75
    assert found.balanced_accuracy == 0.5
    assert found.macro_f1 == pytest.approx((6 / 7 + 0) / 2)
    assert found.clip_score == pytest.approx(100 * (0.3 * 3 + 0.1) / 4)


def test_it_agrees_with_scikit_learn() -> None:
    from sklearn.metrics import balanced_accuracy_score, f1_score

    cosines = torch.rand(40, 5, generator=torch.Generator().manual_seed(0))
    labels = [place % 5 for place in range(40)]
    found, seen = score(cosines, labels), cosines.argmax(1).tolist()
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, seen))
    assert found.macro_f1 == pytest.approx(f1_score(labels, seen, average="macro"))


def test_shuffled_pairs_of_perfect_pictures_are_at_chance() -> None:
    labels = [place % 4 for place in range(40)]
    perfect = torch.nn.functional.one_hot(torch.tensor(labels), 4).float()
    assert score(perfect, labels).accuracy == 1.0
    assert 0.2 < shuffled(perfect, labels, 0).accuracy < 0.3
