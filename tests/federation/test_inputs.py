from dataclasses import replace
from pathlib import Path

import pytest
import torch
from federations import setup_of, stored

from feda2v_cli.federation import inputs as inputs_module
from feda2v_cli.federation.inputs import (
    InputsOnDisk,
    JoinedInputs,
    dim_of,
    groups_of,
    inputs_of,
    slices_of,
    slices_of_places,
    sorted_by_tokens,
)
from feda2v_cli.federation.pool import Pool
from feda2v_cli.federation.round import Federation
from feda2v_cli.federation.standardise import Standardisation, Sums

CPU = torch.device("cpu")
CLIPS = 3 + 5 * torch.randn(9, 4, 7, generator=torch.Generator().manual_seed(0))
LONG = torch.randn(5, 11, 7, generator=torch.Generator().manual_seed(1))
STANDARDISATION = Standardisation.of([Sums.of(stored(CLIPS))])
PLACES = torch.tensor([[3, 0, 8], [8, 1, 1]])


@pytest.fixture
def on_disk() -> InputsOnDisk:
    return InputsOnDisk(stored(CLIPS), STANDARDISATION, CPU)


def test_small_embeddings_stay_in_memory_and_large_ones_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(inputs_of(stored(CLIPS), STANDARDISATION, CPU), torch.Tensor)
    monkeypatch.setattr(inputs_module, "HELD_BYTES", CLIPS.nbytes - 1)
    assert isinstance(inputs_of(stored(CLIPS), STANDARDISATION, CPU), InputsOnDisk)


def test_inputs_on_disk_have_the_bits_of_those_in_memory(on_disk: InputsOnDisk) -> None:
    in_memory = STANDARDISATION(CLIPS)

    assert torch.equal(on_disk[PLACES], in_memory[PLACES])
    assert torch.equal(on_disk[2:5], in_memory[2:5])


def test_what_was_read_changes_nothing_on_disk(on_disk: InputsOnDisk) -> None:
    before = on_disk[:].clone()
    on_disk[:].zero_()
    assert torch.equal(on_disk[:], before)


def test_joined_inputs_are_one_behind_the_other(on_disk: InputsOnDisk) -> None:
    samples = torch.ones(2, 4, 7)
    joined = JoinedInputs.of(on_disk, samples)
    places = torch.tensor([[10, 0], [8, 9]])

    assert len(joined) == 11
    assert torch.equal(joined[places], torch.cat([on_disk[:], samples])[places])
    assert joined[torch.zeros(0, dtype=torch.long)].shape == (0, 4, 7)


def test_items_with_as_many_tokens_are_read_together_and_others_are_not(on_disk: InputsOnDisk) -> None:
    joined = JoinedInputs.of(on_disk, LONG)

    assert torch.equal(joined[torch.tensor([12, 9])], LONG[[3, 0]])
    assert dim_of(joined) == 7
    with pytest.raises(ValueError, match="differ in number"):
        joined[torch.tensor([0, 9])]


def test_items_are_sorted_by_their_tokens_and_else_stay_in_their_order(
    on_disk: InputsOnDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = JoinedInputs.of(LONG, on_disk, LONG)
    places = torch.tensor([15, 6, 0, 13, 5, 4])

    ordered = sorted_by_tokens(joined, places)

    assert ordered.tolist() == [6, 13, 5, 15, 0, 4]
    assert groups_of(joined, ordered) == {4: 3, 11: 3}
    assert list(slices_of_places(joined, ordered)) == [slice(0, 3), slice(3, 6)]
    monkeypatch.setattr(inputs_module, "PART_BYTES", 2 * 4 * 11 * 7)
    assert list(slices_of_places(joined, ordered)) == [slice(0, 3), slice(3, 5), slice(5, 6)]


def test_items_that_have_as_many_tokens_are_one_group_in_their_order(on_disk: InputsOnDisk) -> None:
    places = torch.tensor([10, 3, 9])
    for inputs in (CLIPS, on_disk, JoinedInputs.of(on_disk, CLIPS)):
        assert sorted_by_tokens(inputs, places).equal(places)
        assert groups_of(inputs, places) == {4: 3}


def test_slices_hold_items_with_as_many_tokens_that_memory_holds(
    on_disk: InputsOnDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = JoinedInputs.of(on_disk, LONG)
    assert list(slices_of(joined, 6)) == [slice(0, 6), slice(6, 9), slice(9, 14)]
    monkeypatch.setattr(inputs_module, "PART_BYTES", 3 * 4 * 11 * 7)
    assert [part.stop - part.start for part in slices_of(joined, 6)] == [6, 3, 3, 2]


@pytest.mark.parametrize("strategy", ["fedavg", "kd"])
def test_a_federation_has_the_same_bits_whether_its_clips_and_samples_are_in_memory_or_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    setup = setup_of([[0, 1], [2, 3]], samples=3, use=("local", "server"), strategy=strategy)

    def adapters(pool: Pool, place: str) -> dict[str, torch.Tensor]:
        (tmp_path / place).mkdir()
        federation = Federation(replace(setup, clips=pool), tmp_path / place, lambda *_: None)
        federation.run_round(1)
        return federation.adapters

    held = adapters(setup.clips, "held")
    monkeypatch.setattr(inputs_module, "HELD_BYTES", 0)
    monkeypatch.setattr("feda2v_cli.federation.synthetic.HELD_BYTES", 0)
    unchanged = Standardisation(torch.zeros(12), torch.ones(12))
    filed = adapters(
        Pool(InputsOnDisk(stored(setup.clips.embeddings), unchanged, CPU), setup.clips.labels, setup.clips.clips),
        "filed",
    )

    assert all(torch.equal(held[space], filed[space]) for space in held)
