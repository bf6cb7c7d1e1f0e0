"""Forgeries that are sealed again: each is named by its code, or loads as exactly what was verified.

`UPDATE_GOLDEN=1 pytest` writes anew which of them are taken for sound; every line of that list wants a reason.
"""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from checkpoint_samples import adapter_metadata_of, adapter_state_of, metadata_of, state_of
from forger import Draft, forge, forgeries

from feda2v_cli.verifier.catalogue import catalogue
from feda2v_cli.verifier.finding import FindingsError
from feda2v_cli.verifier.inspection import inspect_header
from feda2v_cli.verifier.single import load_adapter, load_checkpoint
from feda2v_cli.verifier.verify import verify

#: Codes of single files that are errors.
CODES = {"FA008", "FA009", "FA010", "FA011", "FA012", "FA017", "FA023"}
#: A forgery that hangs takes minutes; a machine with other work may be slow.
LONGEST_SECONDS = 5.0
GOLDEN = Path(__file__).parent / "golden"

Load = Callable[[Path], tuple[object, dict[str, torch.Tensor]]]
SOUND: dict[str, tuple[str, Draft, Load]] = {
    "generator": (
        "vae_unified_node0.pt",
        Draft.of(metadata_of("unified"), state_of(metadata_of("unified"))),
        load_checkpoint,
    ),
    "adapter": (
        "adapter_node0.pt",
        Draft.of(adapter_metadata_of(0), adapter_state_of(adapter_metadata_of(0))),
        load_adapter,
    ),
}


def test_there_are_at_least_200_kinds_of_forgeries() -> None:
    kinds = {group: sum(name.startswith(group) for name in forgeries("generator")) for group in GROUPS}
    assert kinds["metadata"] >= 200
    assert kinds["record"] >= 90
    assert kinds["archive"] >= 90
    assert kinds["tensor"] + kinds["state"] >= 35


GROUPS = ("metadata", "record", "tensor", "state", "archive")


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("kind", SOUND)
def test_a_sealed_forgery_is_named_by_its_code_or_loads_as_exactly_what_was_verified(
    tmp_path: Path, kind: str, group: str
) -> None:
    filename, draft, load = SOUND[kind]
    path = tmp_path / filename
    sound = []
    for name, forgery in forgeries(kind).items():
        if not name.startswith(group):
            continue
        forge(draft, forgery, path)
        started = time.process_time()
        # FA022 is of what a file says of its clips, which a forgery may change and stay loadable.
        findings = [finding for finding in verify([path], deep=True).findings if finding.code != "FA022"]
        catalogue([path])
        if findings:
            assert {finding.code for finding in findings} <= CODES, name
            with pytest.raises(FindingsError) as caught:
                load(path)
            assert caught.value.code in CODES, name
        else:
            sound.append(name)
            metadata, tensors = load(path)
            assert_is_what_was_verified(path, metadata, tensors, name)
        assert time.process_time() - started < LONGEST_SECONDS, name
    expect_sound(f"sound_{kind}_forgeries_{group}.txt", sound)


def assert_is_what_was_verified(path: Path, metadata: object, tensors: dict[str, torch.Tensor], name: str) -> None:
    """What was loaded is what the records hold, and what PyTorch loads by itself."""
    seen = inspect_header(path)
    assert metadata == (seen.metadata or seen.adapter), name
    loaded = torch.load(path, weights_only=True)
    (state,) = (value for key, value in loaded.items() if key != "metadata")
    assert state.keys() == tensors.keys(), name
    for key, tensor in tensors.items():
        assert torch.equal(tensor, state[key]), name
        assert tensor.dtype == state[key].dtype, name
        assert type(state[key]) is torch.Tensor, name
        assert not state[key].requires_grad, name


def expect_sound(filename: str, names: list[str]) -> None:
    """The forgeries that pass are those of the list."""
    text = "".join(f"{name!r}\n" for name in names)
    golden = GOLDEN / filename
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("kind", SOUND)
def test_a_checkpoint_that_is_put_together_without_a_change_is_sound(tmp_path: Path, kind: str) -> None:
    filename, draft, load = SOUND[kind]
    forge(draft, lambda _: None, tmp_path / filename)
    assert verify([tmp_path / filename], deep=True).findings == ()
    metadata, tensors = load(tmp_path / filename)
    assert_is_what_was_verified(tmp_path / filename, metadata, tensors, "unchanged")


def test_a_false_digest_does_not_hide_that_two_generators_are_the_same(tmp_path: Path) -> None:
    state = state_of(metadata_of("per_class", 0, "dog"))
    for key in ("dog", "cow"):
        metadata = metadata_of("per_class", 0, key)
        forge(
            Draft.of(metadata, state),
            lambda draft, key=key: draft.digests.update({"data/0": hashlib.sha256(key.encode()).hexdigest()}),  # type: ignore[misc]
            tmp_path / metadata.filename,
        )
    assert {finding.code for finding in verify([tmp_path]).findings} == {"FA009"}
