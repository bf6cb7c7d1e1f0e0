import pytest

from feda2v_cli.federation.participation import participants

NODES = list(range(10))


@pytest.mark.parametrize(("fraction", "count"), [(1.0, 10), (0.5, 5), (0.31, 3), (0.001, 1)])
def test_a_fraction_of_the_nodes_is_asked(fraction: float, count: int) -> None:
    present, failed = participants(NODES, fraction, 0.0, 0, 1)
    assert (len(present), failed) == (count, [])


def test_other_rounds_ask_other_nodes() -> None:
    assert len({tuple(participants(NODES, 0.3, 0.0, 0, number)[0]) for number in range(1, 20)}) > 5


def test_the_same_seed_and_round_ask_the_same_nodes() -> None:
    assert participants(NODES, 0.3, 0.4, 7, 3) == participants(NODES, 0.3, 0.4, 7, 3)


def test_failing_nodes_were_asked_and_are_not_present() -> None:
    fails = 0
    for number in range(200):
        present, failed = participants(NODES, 0.5, 0.25, 0, number)
        assert len(present) + len(failed) == 5
        assert not set(present) & set(failed)
        fails += len(failed)
    assert fails / 1000 == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize(("dropout", "count"), [(0.0, 10), (1.0, 0)])
def test_dropout_none_and_all(dropout: float, count: int) -> None:
    assert len(participants(NODES, 1.0, dropout, 0, 1)[0]) == count
