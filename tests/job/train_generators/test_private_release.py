"""What a promise of privacy is charged, and what may not be public."""

from pathlib import Path

import pytest
import torch
from data_layouts import write_folder
from small_trainings import names, tensors, trained

from feda2v_cli.errors import FailedError, MissingError
from feda2v_cli.run.event import Event, RunStarted
from feda2v_cli.verifier.single import load_checkpoint

PROMISING = ("generator.type=gaussian", "generator.projection=public", "generator.epsilon=1.0")


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_run_beyond_the_privacy_budget_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    # Either generator alone is within the budget.
    nodes = 'nodes=[{id=0, classes=["cow", "dog"]}, {id=1, classes=["dog"]}]'
    settings = (nodes, f"generator.ledger='{tmp_path}/ledger'", "generator.privacy_budget=1.1")
    with pytest.raises(FailedError, match=r"32 of 64 clips would have spent up to ε = 1\.\d+"):
        trained("unified", *PROMISING, *settings)
    assert not (tmp_path / "ledger").exists()
    assert names("checkpoints/generators") == []


def test_a_private_run_that_is_killed_goes_on_with_the_noise_that_it_was_charged_for(tmp_path: Path) -> None:
    settings = (
        *PROMISING,
        'nodes=[{id=0, classes=["dog"]}, {id=1, classes=["cow"]}]',
        f"generator.ledger='{tmp_path}/ledger'",
        "generator.privacy_budget=1.0",
    )
    trained("unified", *settings)
    before, ledger = tensors("checkpoints/generators"), (tmp_path / "ledger").read_bytes()
    # As a process is killed when all is charged, and nothing is saved.
    (run,) = Path("runs").iterdir()
    (run / "run.json").write_text((run / "run.json").read_text().replace('"done"', '"running"'))
    for path in [*(run / "resume").glob("*.pt"), *Path("checkpoints/generators").iterdir()]:
        path.unlink()

    trained("unified", *settings, resume=True)
    after = tensors("checkpoints/generators")
    assert before.keys() == after.keys() != set()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert (tmp_path / "ledger").read_bytes() == ledger


def test_what_is_released_anew_has_noise_of_its_own_and_is_charged(tmp_path: Path) -> None:
    settings = (*PROMISING, 'nodes=[{id=0, classes=["dog"]}]', f"generator.ledger='{tmp_path}/ledger'")
    trained("unified", *settings)
    before, ledger = tensors("checkpoints/generators"), (tmp_path / "ledger").read_bytes()
    trained("unified", *settings, force=True)
    means = "vae_unified_node0.pt model.means"
    assert not torch.equal(before[means], tensors("checkpoints/generators")[means])
    assert (tmp_path / "ledger").read_bytes() != ledger
    with pytest.raises(FailedError, match="32 of 32 clips would have spent"):
        trained("unified", *settings, "generator.privacy_budget=1.5", force=True)


def test_of_two_trainings_at_a_time_one_is_refused_and_keeps_no_release(tmp_path: Path) -> None:
    settings = (*PROMISING, 'nodes=[{id=0, classes=["dog"]}]', f"generator.ledger='{tmp_path}/ledger'")

    def another(event: Event) -> None:
        if isinstance(event, RunStarted):  # the budget of this run has been looked at
            trained("unified", *settings, "checkpoint.dir='other'", "experiment.runs='other_runs'")

    with pytest.raises(FailedError, match="32 of 32 clips would have spent"):
        trained("unified", *settings, "generator.privacy_budget=1.1", listener=another)
    assert names("checkpoints/generators") == []
    assert list(Path("runs").glob("*/resume/releases/*")) == []


def test_clips_that_train_are_no_public_clips(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "mine", per_class=20)
    elsewhere = tmp_path / "public" / "elsewhere"
    write_folder(elsewhere, ("siren", "cow"), per_class=3)
    (elsewhere / "cow" / "other_name.wav").write_bytes((root / "dog" / "000.wav").read_bytes())
    settings = (
        *PROMISING,
        f"data.root='{root}'",
        'nodes=[{id=0, classes=["dog", "rain"]}]',
        f"generator.public_root='{elsewhere}'",
        f"generator.ledger='{tmp_path}/ledger'",
        "data.train_ratio=1.0",
    )
    with pytest.raises(FailedError, match=r"1 of the 7 public clips train, too: .*other_name"):
        trained("unified", *settings)
    assert not (tmp_path / "ledger").exists()


def test_public_clips_that_are_wrong_are_told_before_anything_is_read(tmp_path: Path) -> None:
    for place, error, told in (
        ("missing", MissingError, "generator.public_root .*missing is not there"),
        ("empty", MissingError, "empty has none of the layouts"),
        ("few", FailedError, "are 2 clips of 2 classes"),
    ):
        if place != "missing":
            (tmp_path / place).mkdir()
        if place == "few":
            write_folder(tmp_path / place, per_class=1)
        with pytest.raises(error, match=told) as raised:
            trained("unified", *PROMISING, f"generator.public_root='{tmp_path / place}'")
        assert "public" in str(raised.value.hint)
        assert not Path("runs").exists()


def test_public_clips_are_found_from_where_the_command_is_run(tmp_path: Path) -> None:
    write_folder(tmp_path / "public", per_class=3)
    one_node = ('nodes=[{id=0, classes=["dog"]}]', "generator.ledger=ledger")
    digests = []
    for root, granularity in (("public", "unified"), (tmp_path / "public", "per_class")):
        done = trained(granularity, *PROMISING, *one_node, f"generator.public_root='{root}'")
        metadata, _ = load_checkpoint(done.checkpoints[0].path)
        digests.append(metadata.architecture["public_basis"])
    assert digests[0] == digests[1]
