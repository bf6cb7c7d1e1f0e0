import pytest
import torch

from feda2v_cli.flower.letter import Letter, LetterError


def test_a_letter_may_not_have_an_array_that_its_kind_does_not_name() -> None:
    with pytest.raises(LetterError, match="trained may not have embeddings"):
        Letter("trained", {"losses": {}, "steps": {}}, {"embeddings": torch.zeros(1, 4, 768)})


def test_a_letter_may_not_have_a_value_that_its_kind_does_not_name() -> None:
    with pytest.raises(LetterError, match="joined may not have path"):
        Letter("joined", {"path": "/data/clips"})


def test_a_node_s_answer_about_accuracy_may_not_have_checkpoints() -> None:
    with pytest.raises(LetterError, match="1 checkpoints"):
        Letter("evaluated", checkpoints=(b"",))


def test_an_array_of_another_type_is_refused() -> None:
    with pytest.raises(LetterError, match=r"trained.clip \(torch.float64\)"):
        Letter("trained", {}, {"trained.clip": torch.zeros(3, dtype=torch.double)})


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (torch.zeros(3), r"has shape \[3\], expected \[4\]"),
        (torch.tensor([0, 0, 0, float("nan")]), "is NaN or infinite"),
    ],
)
def test_an_array_that_cannot_be_used_is_named(values: torch.Tensor, problem: str) -> None:
    letter = Letter("trained", {}, {"trained.clip": values})
    with pytest.raises(LetterError, match=f"trained.clip {problem}"):
        letter.array("trained.clip", (4,))


@pytest.mark.flower
def test_a_letter_arrives_as_it_was_sent() -> None:
    from feda2v_cli.flower.letter import from_record, to_record

    sent = Letter("train", {"run": "a", "round": 3}, {"start.clip": torch.randn(64)}, (b"\x00\xff", b"second"))
    came = from_record(to_record(sent))
    assert (came.kind, came.values, list(came.checkpoints)) == (sent.kind, sent.values, list(sent.checkpoints))
    assert torch.equal(came.arrays["start.clip"], sent.arrays["start.clip"])
