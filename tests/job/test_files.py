from pathlib import Path

import pytest
import torch

from feda2v_cli.errors import FailedError
from feda2v_cli.job.files import save_resume_state, take_up_resume_state


def test_a_state_is_taken_up_as_it_was_saved(tmp_path: Path) -> None:
    save_resume_state(tmp_path / "state.pt", {"round": 3, "weights": torch.arange(4)}, "the run cannot go on")
    taken = take_up_resume_state(tmp_path / "state.pt", lambda content: content)
    assert taken["round"] == 3
    assert torch.equal(taken["weights"], torch.arange(4))


def test_a_state_that_cannot_be_written_says_what_that_means(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match=r"gone/state\.pt cannot be written — ") as caught:
        save_resume_state(tmp_path / "gone/state.pt", {}, "the run cannot go on")
    assert caught.value.details == ("the run cannot go on",)
    assert caught.value.hint == f"df -h {tmp_path / 'gone'}"


def test_a_state_that_does_not_hold_what_is_needed_is_damaged(tmp_path: Path) -> None:
    save_resume_state(tmp_path / "state.pt", {}, "the run cannot go on")
    with pytest.raises(FailedError, match=r"state\.pt is damaged — 'round'") as caught:
        take_up_resume_state(tmp_path / "state.pt", lambda content: content["round"])
    assert caught.value.hint == "start it anew: --force"
