"""The damage matrix: what can happen to sound sets of every granularity, and the code that finds it."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from checkpoint_samples import (
    CLAIM,
    GRANULARITIES,
    GROUPS,
    NODES,
    ON_A_PUBLIC_BASIS,
    metadata_of,
    state_of,
    write,
    write_set,
)
from checkpoint_scenarios import flip_bit, middle_of, swap

from feda2v_cli.checkpoint.file import write_checkpoint
from feda2v_cli.checkpoint.format.archive import read_archive
from feda2v_cli.checkpoint.format.opening import opened
from feda2v_cli.verifier.expectation import Expectation, ExpectedNode
from feda2v_cli.verifier.finding import FindingsError
from feda2v_cli.verifier.single import load_checkpoint
from feda2v_cli.verifier.verify import verify

CLASSES = {0: ("dog", "cow"), 1: ("rain", "sea_waves")}


def codes(directory, expectation=None, deep=False):
    """Codes of the findings, each once."""
    return sorted({finding.code for finding in verify([directory], expectation, deep=deep).findings})


def rewrite(path: Path, **changes) -> None:
    """Write a checkpoint again with other metadata under the name that it had."""
    metadata, state = load_checkpoint(path)
    changed = replace(metadata, **changes)
    aside = path.parent / "aside"
    aside.mkdir()
    write_checkpoint(aside / changed.name.filename, changed, state)
    (aside / changed.name.filename).rename(path)
    aside.rmdir()


@pytest.fixture(params=GRANULARITIES)
def granularity(request):
    return request.param


@pytest.fixture
def directory(granularity, tmp_path, trained):
    """A sound set that was really trained."""
    return Path(shutil.copytree(trained(granularity), tmp_path / "set"))


@pytest.fixture
def paths(directory):
    """Its files: two or four, the first of node 0 and the last of node 1."""
    return sorted(directory.iterdir())


def expectation(granularity, **changes):
    """What a profile of the small run would expect."""
    nodes = tuple(ExpectedNode(node, classes=names, groups=GROUPS) for node, names in CLASSES.items())
    return Expectation(**({"granularity": granularity, "nodes": nodes} | changes))


def test_an_undamaged_set_is_sound(directory, granularity):
    assert codes(directory, expectation(granularity), deep=True) == []


METADATA_DAMAGE: dict[str, tuple[str, dict]] = {
    "encoder": ("FA007", {"encoder": {"name": "other", "sample_rate": 16000, "seconds": 5.0, "tokens": 4}}),
    "encoder parameter": ("FA007", {"encoder": {**metadata_of("unified").encoder, "sample_rate": 8000}}),
    "embedding shape": ("FA007", {"embedding_shape": (4, 9)}),
    "generator type": ("FA014", {"generator_type": "gaussian"}),
    "granularity of the run": ("FA003", {"run_granularity": "elsewhere"}),
    "folds": ("FA016", {"train_folds": (1, 2, 3), "test_folds": (4,)}),
    "format version": ("FA017", {"format_version": 3}),
    "round": ("FA015", {"round": 7}),
    "node": ("FA012", {"node_id": 5}),
    "base name": ("FA012", {"base_name": "other"}),
}


@pytest.mark.parametrize("damage", METADATA_DAMAGE)
def test_a_file_whose_metadata_differ_from_its_set_is_found_without_a_profile(paths, directory, granularity, damage):
    code, changes = METADATA_DAMAGE[damage]
    if changes.get("run_granularity"):
        changes = {"run_granularity": "per_class" if granularity != "per_class" else "unified"}
    rewrite(paths[-1], **changes)
    assert code in codes(directory)


def test_a_group_that_means_something_else_is_found_without_a_profile(tmp_path):
    *_, last = write_set(tmp_path, "per_group")
    rewrite(last, generator_class_groups={"animals": ("dog", "rain"), "nature_sounds": ("sea_waves",)})
    assert codes(tmp_path) == ["FA006"]


def test_a_missing_class_is_found_without_a_profile(tmp_path):
    write_set(tmp_path, "per_class")[1].unlink()
    assert codes(tmp_path) == ["FA005"]


def test_a_missing_group_is_found_without_a_profile(tmp_path):
    node = {"node_classes": ("dog", "cow", "rain"), "expected_keys": tuple(GROUPS)}
    write(tmp_path, metadata_of("per_group", 0, "animals", **node))
    (finding,) = verify([tmp_path]).findings
    assert finding.code == "FA005"
    assert "vae_group_node0_group_nature_sounds.pt would" in finding.message


EARLIER = {"node_classes": ("dog", "frog", "pig"), "expected_keys": ("dog", "frog", "pig")}


def leave_a_file_of_an_earlier_run(directory: Path, timestamp: str = "2026-11-19T10:00:00+00:00") -> Path:
    return write(directory, metadata_of("per_class", 0, "frog", timestamp=timestamp, **EARLIER), seed=77)


def test_a_file_of_an_earlier_run_is_found_and_its_other_classes_are_not_missed(tmp_path):
    write_set(tmp_path, "per_class")
    left = leave_a_file_of_an_earlier_run(tmp_path)
    (finding,) = verify([tmp_path]).findings
    assert (finding.code, finding.path, finding.hint) == ("FA021", str(left), f"rm {left}")
    assert "the newest generators of node 0 know no frog" in finding.message


def test_the_newest_file_of_a_node_says_which_are_of_an_earlier_run(tmp_path):
    _, cow, *_ = write_set(tmp_path, "per_class")
    leave_a_file_of_an_earlier_run(tmp_path, timestamp="2026-11-21T10:00:00+00:00")
    findings = verify([tmp_path]).findings
    assert [finding.path for finding in findings if finding.code == "FA021"] == [str(cow)]
    assert ["pig" in finding.message for finding in findings if finding.code == "FA005"] == [True]


def test_a_class_that_is_asked_for_is_covered_by_a_file_of_an_earlier_run(tmp_path):
    write_set(tmp_path, "per_class")
    leave_a_file_of_an_earlier_run(tmp_path)
    nodes = (ExpectedNode(0, classes=("dog", "cow", "frog")), ExpectedNode(1))
    assert codes(tmp_path, Expectation(nodes=nodes)) == ["FA021"]


EXPECTED_DAMAGE: dict[str, tuple[str, dict]] = {
    "base name": ("FA002", {"base_name": "other"}),
    "node": ("FA004", {"nodes": (*map(ExpectedNode, CLASSES), ExpectedNode(2))}),
    "class of a node": ("FA005", {"nodes": (ExpectedNode(0, classes=("dog", "cow", "pig")), ExpectedNode(1))}),
    "class of any node": ("FA005", {"classes": ("dog", "pig")}),
    "encoder": ("FA007", {"encoder": {"name": "MIT/ast"}}),
    "tokens": ("FA007", {"encoder": {"tokens": 8}}),
    "generator type": ("FA014", {"generator_type": "gaussian"}),
    "data set": ("FA016", {"nodes": (ExpectedNode(0, dataset="esc50"), ExpectedNode(1))}),
    "folds": ("FA016", {"train_folds": (2, 3, 4, 5), "test_folds": (1,)}),
}


@pytest.mark.parametrize("damage", EXPECTED_DAMAGE)
def test_a_set_that_is_not_what_is_expected_is_found(directory, granularity, damage):
    code, changes = EXPECTED_DAMAGE[damage]
    assert codes(directory, expectation(granularity, **changes)) == [code]


@pytest.mark.parametrize("wanted", GRANULARITIES)
def test_another_granularity_is_found_and_nothing_is_said_that_follows_from_it(directory, granularity, wanted):
    asked = expectation(wanted, base_name=f"vae_{wanted}")
    if wanted != granularity:
        assert codes(directory, asked) == ["FA003"]


def test_other_groups_than_the_profile_has_are_found(tmp_path):
    write_set(tmp_path, "per_group")
    groups = GROUPS | {"animals": ("dog", "cow", "pig")}
    nodes = (ExpectedNode(0, groups=groups), ExpectedNode(1, groups=groups))
    assert codes(tmp_path, Expectation(nodes=nodes)) == ["FA006"]


def test_a_renamed_file_is_found(paths, directory):
    paths[0].rename(directory / paths[0].name.replace("node0", "node7"))
    assert codes(directory) == ["FA012"]


def test_two_swapped_files_are_found(paths, directory):
    swap(paths[0], paths[-1])
    assert codes(directory) == ["FA012"]


def test_a_copy_over_another_key_is_found(paths, directory):
    shutil.copy(paths[0], paths[-1])
    assert "FA012" in codes(directory)


def test_a_copy_whose_metadata_were_changed_too_is_found_by_its_weights(paths, directory):
    metadata, _ = load_checkpoint(paths[-1])
    write_checkpoint(paths[-1], metadata, load_checkpoint(paths[0])[1])
    report = verify([directory])
    assert [finding.code for finding in report.findings] == ["FA013"]
    assert paths[0].name in report.findings[0].message


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_found_wherever_it_ends(paths, directory, share):
    content = paths[0].read_bytes()
    paths[0].write_bytes(content[: int(len(content) * share)])
    assert codes(directory) == ["FA009"]


@pytest.mark.parametrize("cut", [1, 22, 50, 130])
def test_a_file_without_its_last_bytes_is_found(paths, directory, cut):
    paths[0].write_bytes(paths[0].read_bytes()[:-cut])
    assert codes(directory) == ["FA009"]


def test_an_emptied_file_is_found(paths, directory):
    paths[0].write_bytes(b"")
    assert [finding.message for finding in verify([directory]).findings] == ["is empty"]


def test_bytes_after_the_end_are_found(paths, directory):
    paths[0].write_bytes(paths[0].read_bytes() + b"\0")
    assert codes(directory) == ["FA009"]


RECORDS = ("data.pkl", "data/0", "data/11", "version", ".data/serialization_id", "feda2v/metadata.json")


@pytest.mark.parametrize("record", RECORDS)
def test_a_flipped_bit_is_found_and_its_record_named(paths, directory, record):
    flip_bit(paths[0], middle_of(paths[0], record))
    (finding,) = verify([directory]).findings
    assert finding.code == "FA009"
    assert f"record {record}" in finding.message


def test_a_flipped_bit_in_a_tensor_names_the_tensor(paths, directory):
    flip_bit(paths[0], middle_of(paths[0], "data/0"))
    assert verify([directory]).findings[0].tensor == "projection.mean"


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.95])
def test_a_flipped_bit_in_the_central_directory_is_found(paths, directory, place):
    with opened(paths[0]) as file:
        archive = read_archive(file)
        length = file.size - len(archive.comment) - archive.directory
    flip_bit(paths[0], archive.directory + int(length * place))
    assert codes(directory) == ["FA009"]


def test_a_flipped_bit_in_the_seal_is_found(paths, directory):
    flip_bit(paths[0], -1)
    assert codes(directory) == ["FA009"]


@pytest.mark.parametrize("record", ["data.pkl", "data/0"])
def test_a_flipped_bit_in_a_records_header_is_found(paths, directory, record):
    with opened(paths[0]) as file:
        place = read_archive(file).records[record].header
    flip_bit(paths[0], place + 12)
    assert codes(directory) == ["FA009"]


TENSOR_DAMAGE: dict[str, tuple[str, Callable[[dict[str, torch.Tensor]], object]]] = {
    "NaN": ("FA011", lambda state: state["projection.mean"].fill_(float("nan"))),
    "one infinity": ("FA011", lambda state: state["projection.axes"][1].fill_(float("inf"))),
    "missing": ("FA008", lambda state: state.pop("projection.scale")),
    "extra": ("FA008", lambda state: state.update(another=torch.zeros(1))),
    "shape": ("FA008", lambda state: state.update({"projection.mean": torch.zeros(4, 8)})),
    "dtype": ("FA008", lambda state: state.update({"projection.mean": state["projection.mean"].double()})),
}


@pytest.mark.parametrize("damage", TENSOR_DAMAGE)
def test_damaged_tensors_are_found_by_the_deep_check(paths, directory, damage):
    code, change = TENSOR_DAMAGE[damage]
    metadata, state = load_checkpoint(paths[0])
    change(state)
    write_checkpoint(paths[0], metadata, state)
    (finding,) = verify([directory], deep=True).findings
    assert finding.code == code
    assert finding.tensor is not None


def test_an_architecture_that_cannot_be_built_is_found_by_the_deep_check(tmp_path):
    metadata = metadata_of("unified")
    forged = metadata_of("unified", architecture=metadata.architecture | {"hidden": 10**9})
    write_checkpoint(tmp_path / forged.name.filename, forged, state_of(metadata))
    assert codes(tmp_path, deep=True) == ["FA008"]


def test_samples_that_are_not_finite_are_found_by_the_deep_check(tmp_path):
    metadata = metadata_of("unified")
    write(tmp_path, metadata, **{"projection.scale": torch.full((3,), 3e38), "projection.axes": torch.ones(3, 32)})
    assert codes(tmp_path, deep=True) == ["FA011"]


def test_a_last_file_that_is_gone_is_found_by_the_rounds_that_are_left(tmp_path, granularity):
    write_set(tmp_path, granularity, rounds=(5, 10, None))[2].unlink()
    assert codes(tmp_path) == ["FA015"]


def test_a_final_file_that_is_older_than_a_round_is_found(tmp_path):
    write_set(tmp_path, "unified")
    write(tmp_path, metadata_of("unified", 1, final=False, round=20), seed=3)
    assert codes(tmp_path) == ["FA015"]


def test_rounds_are_compared_as_numbers(tmp_path):
    write_set(tmp_path, "unified", rounds=(9, 10))
    assert codes(tmp_path) == []


def test_a_leftover_of_a_killed_write_is_found(directory, paths):
    (directory / f".{paths[0].name}.00ff00ff.tmp").write_bytes(b"PK\3\4")
    assert codes(directory) == ["FA018"]


def test_a_broken_file_is_not_also_said_to_be_missing(paths, directory, granularity):
    paths[0].write_bytes(b"")
    assert codes(directory, expectation(granularity)) == ["FA009"]


def test_what_a_run_can_live_with_is_a_warning_when_its_user_says_so(tmp_path):
    write_set(tmp_path, "per_class")[0].unlink()
    strict, permissive = verify([tmp_path]), verify([tmp_path], permissive=True)
    assert (strict.errors, strict.warnings) == (1, 0)
    assert (permissive.errors, permissive.warnings) == (0, 1)


def test_what_no_run_can_live_with_stays_an_error(paths, directory):
    paths[0].write_bytes(b"")
    assert verify([directory], permissive=True).errors == 1


def test_two_data_sets_in_a_set_are_found_without_a_profile(tmp_path):
    write(tmp_path, metadata_of("unified", 0), seed=1)
    other = {"dataset_name": "esc50", "profile_hash": "cd" * 32}
    write(tmp_path, metadata_of("unified", 1, **other), seed=2)
    (finding,) = verify([tmp_path]).findings
    assert finding.code == "FA016"
    assert "is trained on esc50" in finding.message or "is trained on builtin" in finding.message


def test_clips_of_two_data_sets_of_one_layout_in_a_node_are_found_without_a_profile(tmp_path):
    for place, key in enumerate(("dog", "cow")):
        write(tmp_path, metadata_of("per_class", 0, key, node_fingerprint=f"{place}"), seed=place)
    (finding,) = verify([tmp_path]).findings
    assert (finding.code, "other clips of node 0" in finding.message) == ("FA016", True)


def test_files_of_before_that_know_no_fingerprint_of_their_node_are_not_held_against_it(tmp_path):
    for place, key in enumerate(("dog", "cow")):
        write(tmp_path, metadata_of("per_class", 0, key, node_fingerprint="0" if place else None), seed=place)
    assert codes(tmp_path) == []


@pytest.mark.parametrize(("promised", "found"), [(None, ["FA023"]), (8.0, ["FA023"]), (1.0, [])])
def test_a_generator_that_promises_less_privacy_than_is_asked_for_is_found(tmp_path, promised, found):
    claim = None if promised is None else CLAIM | {"epsilon": promised}
    write_set(tmp_path, "unified", privacy=claim, architecture=ON_A_PUBLIC_BASIS)
    assert sorted(set(codes(tmp_path, Expectation(max_epsilon=2.0)))) == found


def test_a_small_epsilon_at_a_large_delta_is_no_more_than_its_noise_gives(tmp_path):
    # Noise of 0.5 promises 0.5 at δ = 0.62, and 11 at 1e-5.
    claim = CLAIM | {"epsilon": 0.5, "delta": 0.7, "noise_multiplier": 0.5}
    write_set(tmp_path, "unified", privacy=claim, architecture=ON_A_PUBLIC_BASIS)
    assert codes(tmp_path) == []
    (finding, *_) = verify([tmp_path], Expectation(max_epsilon=2.0)).findings
    assert finding.code == "FA023"
    assert "promises its clips epsilon = 0.5 at delta = 0.7, which is 10" in finding.message
    assert codes(tmp_path, Expectation(max_epsilon=2.0, delta=0.7)) == []


@pytest.mark.parametrize("changed", ["mean", "scale", "axes"])
def test_a_file_that_holds_another_basis_than_it_names_is_found(tmp_path, changed):
    (path, *_) = write_set(tmp_path, "unified", privacy=CLAIM, architecture=ON_A_PUBLIC_BASIS)
    metadata, state = load_checkpoint(path)
    assert codes(path) == []
    write_checkpoint(path, metadata, state | {f"projection.{changed}": 2 * state[f"projection.{changed}"]})
    assert codes(path) == ["FA023"]
    with pytest.raises(FindingsError, match="names the public basis"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "change",
    [
        {"noise_multiplier": 1.9},
        {"delta": 0.0},
        {"mechanism": "laplace"},
        {"released": "all clips"},
        {"public_basis": "ab" * 32},
    ],
)
def test_a_promise_that_cannot_be_kept_is_found(tmp_path, change):
    write_set(tmp_path, "unified", privacy=CLAIM, architecture=ON_A_PUBLIC_BASIS)
    assert codes(tmp_path) == []
    for path in sorted(tmp_path.iterdir()):
        metadata, state = load_checkpoint(path)
        write_checkpoint(path, replace(metadata, privacy=metadata.privacy | change), state)
    assert set(codes(tmp_path)) == {"FA023"}


@pytest.mark.parametrize(("counted", "rounded_to", "found"), [(6, None, ["FA022"]), (6, 6, []), (6, 2, ["FA022"])])
def test_of_rounded_counts_the_most_that_they_can_be_is_judged(tmp_path, counted, rounded_to, found):
    counts = {"samples_per_class": dict.fromkeys(NODES[0], counted), "counts_rounded_to": rounded_to}
    write(tmp_path, metadata_of("unified", 0, **counts))
    assert codes(tmp_path / metadata_of("unified", 0).filename) == found
