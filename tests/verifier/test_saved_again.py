"""Checkpoints of ours that something else has saved again, and files of nobody: errors, never the earlier system's."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_samples import write_adapters, write_set
from legacy_samples import client, state

from feda2v_cli.verifier.expectation import Expectation, ExpectedNode
from feda2v_cli.verifier.finding import FindingsError
from feda2v_cli.verifier.loading import load_generators, load_set
from feda2v_cli.verifier.verify import verify

Content = dict[str, Any]


def emptied(content: Content) -> None:
    content["generator_state_dict"] = {}


def cut(content: Content) -> None:
    content["generator_state_dict"] = {
        name: tensor[..., :-1] for name, tensor in content["generator_state_dict"].items()
    }


def flattened(content: Content) -> None:
    content |= content.pop("metadata")


def without_version(content: Content) -> None:
    del content["metadata"]["format_version"]


CHANGES: dict[str, Callable[[Content], None]] = {
    "unchanged": lambda content: None,  # noqa: ARG005
    "emptied": emptied,
    "cut": cut,
    "with flat metadata": flattened,
    "without its version": without_version,
}


@pytest.mark.parametrize("zip_form", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_a_generator_that_was_saved_again_is_damaged_and_no_file_of_the_earlier_system(
    tmp_path: Path, change: str, zip_form: bool
) -> None:
    path = write_set(tmp_path, "per_class")[0]
    content = torch.load(path, weights_only=True)
    CHANGES[change](content)
    torch.save(content, path, _use_new_zipfile_serialization=zip_form)
    report = verify([tmp_path])
    assert [finding.code for finding in report.findings] == ["FA009"]
    assert "was written by feda2v and saved again" in report.findings[0].message
    with pytest.raises(FindingsError) as caught:
        load_generators(tmp_path)
    assert caught.value.code == "FA009"


def test_an_adapter_that_was_saved_again_is_damaged(tmp_path: Path) -> None:
    path = write_adapters(tmp_path)
    torch.save(torch.load(path, weights_only=True), path)
    assert [finding.code for finding in verify([tmp_path]).findings] == ["FA009"]


@pytest.mark.parametrize(
    "content",
    [
        {"generator_state_dict": state()},
        {"model_state_dict": state(), "epoch": 3},
        {"embeddings": [torch.zeros(3)]},
        {"metadata": {"author": "me"}},
        state(),
    ],
    ids=["a state", "somebody's model", "embeddings alone", "somebody's metadata", "a bare state"],
)
def test_what_is_neither_ours_nor_of_the_earlier_system_is_an_error(tmp_path: Path, content: Content) -> None:
    torch.save(content, tmp_path / "vae_unified_node0.pt")
    (finding,) = verify([tmp_path]).findings
    assert (finding.code, finding.severity) == ("FA009", "error")


def test_a_directory_of_the_earlier_system_s_files_alone_loads_nothing_and_says_so(tmp_path: Path) -> None:
    torch.save(client("unified", None, end=None), tmp_path / "vae_node0.pt")
    with pytest.raises(FindingsError) as caught:
        load_generators(tmp_path)
    assert caught.value.code == "FA001"


def test_a_file_of_the_earlier_system_in_a_generator_s_place_is_told_and_its_round_is_taken_by_all(
    tmp_path: Path,
) -> None:
    write_set(tmp_path, "unified", rounds=(10,))
    torch.save(client("unified", None, end=None), tmp_path / "vae_unified_node0.pt")
    warnings: list[str] = []
    nodes = Expectation(nodes=(ExpectedNode(0), ExpectedNode(1)))
    loaded = load_set(tmp_path, nodes, on_warning=lambda finding: warnings.append(finding.code))
    assert [(metadata.node_id, metadata.round) for metadata, _ in loaded] == [(0, 10), (1, 10)]
    assert warnings == ["FA019"] == [finding.code for finding in verify([tmp_path], nodes).findings]


def test_a_final_file_that_was_saved_again_beside_its_rounds_stops_verifier_and_run_alike(tmp_path: Path) -> None:
    *_, final = write_set(tmp_path, "unified", rounds=(5, None))
    torch.save(torch.load(final, weights_only=True), final)
    nodes = Expectation(nodes=(ExpectedNode(0), ExpectedNode(1)))
    with pytest.raises(FindingsError) as caught:
        load_set(tmp_path, nodes)
    told = [(finding.code, finding.path) for finding in caught.value.findings]
    assert told == [("FA009", str(final))] == [(one.code, one.path) for one in verify([tmp_path], nodes).findings]


LONGEST_SECONDS = 5.0


def doubled(times: int) -> Any:
    value: Any = torch.zeros(1)
    for _ in range(times):
        value = [value, value]
    return value


def own() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


def many_names_of_one_state() -> Content:
    weights = {f"weight{index}": torch.zeros(1) for index in range(300)}
    shared = dict.fromkeys(weights, weights["weight0"])
    return {"prompt_generators": {f"class{index}": shared for index in range(20_000)}}


FORGED: dict[str, Callable[[], Content]] = {
    "lists that share lists": lambda: {"more": doubled(60)},
    "a list that holds itself": lambda: {"more": own()},
    "a state for many names": many_names_of_one_state,
    "numbers of stride 0": lambda: {"generator_state_dict": {"weight": torch.zeros(1).expand(1 << 30)}},
    "numbers that overlap": lambda: {
        "generator_state_dict": {"weight": torch.zeros(1 << 17).as_strided((1 << 16, 1 << 16), (1, 1))}
    },
    "many views of one record": lambda: {
        "generator_state_dict": dict.fromkeys(map(str, range(20_000)), torch.zeros(1 << 20))
    },
}


@pytest.mark.parametrize("zip_form", [True, False])
@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_file_of_the_earlier_system_takes_neither_time_nor_memory(
    tmp_path: Path, forged: str, zip_form: bool
) -> None:
    path = tmp_path / "vae_node0_class_dog_round_10.pt"
    torch.save(client() | FORGED[forged](), path, _use_new_zipfile_serialization=zip_form)
    started = time.process_time()
    findings = verify([path], deep=True).findings
    assert time.process_time() - started < LONGEST_SECONDS
    assert {finding.code for finding in findings} <= {"FA019", "FA013"}
