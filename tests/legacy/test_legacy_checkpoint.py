"""Checkpoints of the earlier system: listed, checked as far as can be, never loaded."""

import pytest
import torch
from legacy_samples import client, server, state

from feda2v_cli.verifier.catalogue import catalogue
from feda2v_cli.verifier.expectation import Expectation
from feda2v_cli.verifier.finding import FindingsError
from feda2v_cli.verifier.single import load_checkpoint
from feda2v_cli.verifier.verify import verify

FORMS = {"archive": True, "before archives": False}


@pytest.fixture(params=FORMS)
def save(request):
    """`torch.save` in the form of today and in that of old."""

    def save(content, path):
        torch.save(content, path, _use_new_zipfile_serialization=FORMS[request.param])

    return save


def findings(path):
    return [(finding.code, finding.severity) for finding in verify([path]).findings]


NAMES = {
    "vae_node0_round_9.pt": ("unified", None, 9),
    "vae_node0_round_10.pt": ("unified", None, 10),
    "vae_node0_class_dog_round_10.pt": ("per_class", "dog", 10),
    "vae_node0_class_sea_waves_round_10.pt": ("per_class", "sea_waves", 10),
    "vae_node0_group_nature_sounds_round_5.pt": ("per_group", "nature_sounds", 5),
    "vae_node0_group_nature_sounds.pt": ("per_group", "nature_sounds", None),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_node_s_file_is_known_for_what_it_is(tmp_path, save, name):
    granularity, key, end = NAMES[name]
    save(client(granularity, key, end=end), tmp_path / name)
    assert findings(tmp_path) == [("FA019", "warning")]
    (entry,) = catalogue([tmp_path])
    assert (entry.legacy.node, entry.legacy.granularity, entry.legacy.key) == (0, granularity, key)
    assert entry.legacy.round == end


@pytest.mark.parametrize("name", ["vae.pt", "vae_round_10.pt"])
def test_a_server_s_file_of_many_generators_is_known_for_what_it_is(tmp_path, save, name):
    save(server(["dog", "cow"]), tmp_path / name)
    assert findings(tmp_path) == [("FA019", "warning")]
    (entry,) = catalogue([tmp_path])
    assert entry.legacy.is_server
    assert set(entry.legacy.states) == {"dog", "cow"}


def test_rounds_are_listed_as_numbers(tmp_path, save):
    for end in (9, 10):
        save(client("unified", None, end=end), tmp_path / f"vae_node0_round_{end}.pt")
    assert [entry.legacy.round for entry in catalogue([tmp_path])] == [9, 10]


def test_an_adapter_of_the_earlier_system_is_told_apart(tmp_path, save):
    content = {
        "client_id": "0",
        "node_id": 0,
        "round": 3,
        "adapter_name": "clip_adapter",
        "adapter_state_dict": state(),
    }
    save(content, tmp_path / "adapter_node0_clip_adapter_round_3_class_dog.pt")
    assert "adapter of the earlier system" in verify([tmp_path]).findings[0].message


def test_a_name_that_contradicts_its_metadata_is_found(tmp_path, save):
    save(client(), tmp_path / "vae_node1_class_cow_round_10.pt")
    assert findings(tmp_path) == [("FA012", "error"), ("FA012", "error"), ("FA019", "warning")]


def test_one_generator_under_the_keys_of_many_classes_is_found(tmp_path, save):
    for key in ("dog", "cow"):
        save(client(key=key), tmp_path / f"vae_node0_class_{key}_round_10.pt")
    assert findings(tmp_path) == [("FA013", "error"), ("FA019", "warning"), ("FA019", "warning")]


def test_one_generator_under_many_keys_of_the_server_is_found(tmp_path, save):
    content = server(["dog", "cow"])
    content["prompt_generators"]["cow"] = content["prompt_generators"]["dog"]
    save(content, tmp_path / "vae_round_10.pt")
    assert findings(tmp_path) == [("FA013", "error"), ("FA019", "warning")]


def test_rounds_of_one_generator_may_be_equal(tmp_path, save):
    for end in (9, 10):
        save(client(end=end), tmp_path / f"vae_node0_class_dog_round_{end}.pt")
    assert findings(tmp_path) == [("FA019", "warning"), ("FA019", "warning")]


def test_a_flipped_bit_in_an_archive_is_found_and_its_record_named(tmp_path):
    path = tmp_path / "vae_node0_class_dog_round_10.pt"
    torch.save(client(generator_state_dict={"weight": torch.zeros(1000)}), path)
    content = bytearray(path.read_bytes())
    content[content.index(b"\0" * 1000) + 500] ^= 1
    path.write_bytes(content)
    first = verify([tmp_path]).findings[0]
    assert (first.code, "record data/0" in first.message) == ("FA009", True)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.9, 0.999])
def test_a_truncated_file_is_found(tmp_path, save, share):
    path = tmp_path / "vae_node0_class_dog_round_10.pt"
    save(client(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert findings(tmp_path)[0][0] == "FA009"


def test_weights_that_are_not_finite_are_found_by_the_deep_check(tmp_path, save):
    weights = {"weight": torch.tensor([1.0, float("nan")])}
    save(client(generator_state_dict=weights), tmp_path / "vae_node0_class_dog_round_10.pt")
    finding = verify([tmp_path], deep=True).findings[0]
    assert (finding.code, finding.tensor) == ("FA011", "generator.weight")


def test_none_is_ever_loaded(tmp_path, save):
    path = tmp_path / "vae_unified_node0.pt"
    save(client("unified", None, end=None), path)
    with pytest.raises(FindingsError):
        load_checkpoint(path)


def test_a_profile_is_told_that_there_is_nothing_it_can_load(tmp_path, save):
    save(client(), tmp_path / "vae_node0_class_dog_round_10.pt")
    report = verify([tmp_path], Expectation(granularity="per_class"))
    assert [finding.code for finding in report.findings] == ["FA001", "FA019"]
    assert "1 of them of the earlier system" in report.findings[0].message
