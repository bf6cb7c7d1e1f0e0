"""Sound checkpoints pass: the verifier is worth nothing when it cries wolf."""

import shutil
from pathlib import Path

import pytest
from checkpoint_samples import GRANULARITIES, metadata_of, write, write_set
from checkpoint_scenarios import write_profile

from feda2v_cli.profile.load import load_profile
from feda2v_cli.verifier.expectation import Expectation
from feda2v_cli.verifier.verify import verify


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_a_sound_set_passes_every_check(tmp_path, granularity):
    write_set(tmp_path, granularity, rounds=(5, 9, 10, None))
    report = verify([tmp_path], deep=True)
    assert report.findings == ()
    assert report.checked == {"unified": 8, "per_class": 16, "per_group": 8}[granularity]


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_a_sound_set_is_what_its_profile_asks_for(tmp_path, monkeypatch, granularity):
    monkeypatch.chdir(tmp_path)
    profile = write_profile(granularity)
    expectation = Expectation.from_profile(load_profile(profile), profile)
    write_set(expectation.directory, granularity)
    assert verify([], expectation).findings == ()


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_a_profile_of_granularity_auto_takes_every_granularity(tmp_path, monkeypatch, granularity):
    monkeypatch.chdir(tmp_path)
    profile = write_profile("auto")
    write_set(tmp_path / "checkpoints/anywhere", granularity, generator_type="gaussian")
    assert verify([], Expectation.from_profile(load_profile(profile), profile)).findings == ()


def test_a_set_passes_in_another_directory(tmp_path):
    write_set(tmp_path / "here", "per_class")
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert verify([tmp_path / "there"]).findings == ()


def test_all_three_granularities_may_lie_in_one_directory(tmp_path):
    for granularity in GRANULARITIES:
        write_set(tmp_path, granularity)
    report = verify([tmp_path])
    assert (report.checked, report.findings) == (8, ())


def test_a_tree_with_other_sets_passes_when_one_is_what_is_asked_for(tmp_path):
    for granularity in GRANULARITIES:
        write_set(tmp_path / granularity, granularity)
    assert verify([tmp_path], Expectation(granularity="per_class")).findings == ()


def test_nodes_may_be_trained_by_several_processes_at_other_times_and_seeds(tmp_path):
    for node in (0, 1):
        words = {"timestamp": f"2026-11-2{node}T10:00:00+00:00", "seed": node, "profile_hash": f"{node}" * 64}
        write(tmp_path, metadata_of("unified", node, **words), seed=node)
    assert verify([tmp_path]).findings == ()


def test_a_node_may_override_the_granularity(tmp_path):
    write(tmp_path, metadata_of("unified", 0), seed=1)
    for place, key in enumerate(("rain", "sea_waves")):
        changes = {"base_name": "vae_unified", "run_granularity": "unified"}
        write(tmp_path, metadata_of("per_class", 1, key, **changes), seed=2 + place)
    assert verify([tmp_path]).findings == ()


def test_a_node_may_hold_another_data_set(tmp_path):
    write(tmp_path, metadata_of("unified", 0), seed=1)
    write(tmp_path, metadata_of("unified", 1, dataset_name="esc50", dataset_fingerprint="aa" * 32), seed=2)
    assert verify([tmp_path]).findings == ()


def test_two_closed_forms_of_the_same_clips_may_be_equal(tmp_path):
    same = {"generator_type": "gaussian", "generator_classes": ("dog",), "node_classes": ("dog",)}
    same["samples_per_class"] = {"dog": 32}
    architecture = {
        "type": "gaussian",
        "projection": "pca",
        "remainder": "diagonal",
        "tokens": 4,
        "dim": 8,
        "rank": 3,
        "classes": 1,
        "directions": 3,
    }
    for node in (0, 1):
        write(tmp_path, metadata_of("unified", node, architecture=architecture, **same), seed=1)
    assert verify([tmp_path], deep=True).findings == ()


def test_a_later_run_of_some_nodes_alone_needs_those_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    profile = write_profile()
    expectation = Expectation.from_profile(load_profile(profile), profile, nodes=(1,))
    for path in write_set(expectation.directory, "per_class")[:2]:
        path.unlink()
    assert verify([], expectation).findings == ()


def test_a_group_that_no_class_of_a_node_is_in_does_not_matter_to_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    profile = write_profile("per_group")
    Path(profile).write_text(Path(profile).read_text().replace("[[nodes]]", 'birds = ["crow"]\n[[nodes]]', 1))
    expectation = Expectation.from_profile(load_profile(profile), profile)
    write_set(expectation.directory, "per_group")
    assert verify([], expectation).findings == ()


def test_one_file_is_not_asked_for_the_rest_of_its_set(tmp_path):
    first, *_ = write_set(tmp_path, "per_class")
    report = verify([first])
    assert (report.checked, report.findings) == (1, ())
