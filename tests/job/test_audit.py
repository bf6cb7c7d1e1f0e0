"""`audit`: what the generators of a set tell of the clips that trained them."""

from pathlib import Path

import pytest
from data_layouts import write_folder

from feda2v_cli.job.audit import Audit, audit
from feda2v_cli.job.train_generators.run import train_generators
from feda2v_cli.privacy.bound import largest_auc
from feda2v_cli.profile.load import LoadedProfile, load_profile
from feda2v_cli.run.event import Event, Warned
from feda2v_cli.verifier.single import read_metadata


def profile_of(place: Path, *settings: str) -> LoadedProfile:
    given = [
        'nodes=[{id=0, classes=["dog", "rain"]}, {id=1, classes=["siren", "crickets"]}]',
        "generator.type=gaussian",
        "generator.granularity=per_class",
        "checkpoint.every=0",
        f"checkpoint.dir='{place}/generators'",
        f"experiment.runs='{place}/runs'",
        f"generator.ledger='{place}/ledger'",
    ]
    return load_profile("use_pretrained", settings=[*given, *settings], environment={})


def audited(place: Path, *settings: str) -> Audit:
    profile = profile_of(place, *settings)
    train_generators(profile)
    return audit(place / "generators", profile, profile_named="use_pretrained")


def test_a_file_at_full_rank_tells_its_clips_and_the_default_far_fewer(tmp_path: Path) -> None:
    full, default = audited(tmp_path / "full", "generator.rank=256"), audited(tmp_path / "default")
    assert full.judgement.word == "telling"
    assert full.attacks[full.strongest].overall.auc > 0.95
    assert default.attacks[default.strongest].overall.auc < 0.85
    assert default.bound is None


def test_beside_a_promise_stands_what_no_attack_exceeds(tmp_path: Path) -> None:
    promising = audited(tmp_path, "generator.projection=public", "generator.epsilon=1.0")
    assert promising.bound is not None
    assert promising.bound.auc == largest_auc(1.0, 1e-5) == pytest.approx(0.73, abs=0.01)
    assert promising.attacks[promising.strongest].overall.low < promising.bound.auc
    assert promising.to_dict()["bound"]["epsilon"] == 1.0
    assert promising.judgement.word == "guarded"
    for path in (tmp_path / "generators").glob("*.pt"):
        metadata = read_metadata(path)
        assert (metadata.dataset_fingerprint, metadata.node_fingerprint) == ("", None)
        assert "attack" not in (metadata.quality or {})


def test_two_files_on_a_public_basis_tell_a_clip_unless_they_promise_something(tmp_path: Path) -> None:
    plain = audited(tmp_path, "generator.projection=public")
    assert plain.attacks[plain.strongest].overall.auc < 0.65
    assert plain.two_files is not None
    assert plain.two_files.clips == 128
    assert plain.two_files.low > 0.5
    assert plain.judgement.word == "guarded once"


def test_two_files_that_promise_something_tell_what_their_noise_leaves_in_what_is_released(tmp_path: Path) -> None:
    public = "generator.projection=public"
    shares = {}
    for epsilon in (1.0, 1e5):
        promising = audited(tmp_path / str(epsilon), public, f"generator.epsilon={epsilon}")
        assert promising.two_files is not None
        shares[epsilon] = promising.two_files
        assert promising.two_files.clips == 128
    assert shares[1.0].low < shares[1.0].by_chance < 0.04
    assert shares[1e5].share > 0.95


def test_a_public_basis_that_cannot_be_made_again_is_told_and_the_set_is_to_be_published_once(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, "generator.projection=public", "generator.epsilon=1.0")
    train_generators(profile)
    public = write_folder(tmp_path / "public", per_class=3)
    heard: list[Event] = []
    other = profile_of(tmp_path, "generator.projection=public", f"generator.public_root='{public}'")
    found = audit(tmp_path / "generators", other, profile_named="use_pretrained", listener=heard.append)
    assert found.two_files is None
    assert found.judgement.word == "guarded once"
    assert any(isinstance(event, Warned) and "two files are not tried" in event.text for event in heard)
