"""Checkpoints of adapters: damage names the record, and they are no generators."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from checkpoint_samples import adapter_metadata_of, adapter_state_of, write_adapters, write_set
from checkpoint_scenarios import flip_bit, middle_of

from feda2v_cli.checkpoint.fields import MetadataError
from feda2v_cli.checkpoint.file import write_checkpoint
from feda2v_cli.checkpoint.metadata import AdapterMetadata
from feda2v_cli.verifier.finding import FindingsError
from feda2v_cli.verifier.single import load_adapter, load_checkpoint
from feda2v_cli.verifier.verify import verify

RECORDS = ("data.pkl", "data/0", "data/1", "version", ".data/serialization_id", "feda2v/metadata.json")


@pytest.mark.parametrize("record", RECORDS)
def test_a_flipped_bit_is_found_and_its_record_named(tmp_path: Path, record: str) -> None:
    path = write_adapters(tmp_path)
    flip_bit(path, middle_of(path, record))
    (finding,) = verify([tmp_path]).findings
    assert finding.code == "FA009"
    assert f"record {record}" in finding.message
    with pytest.raises(FindingsError, match=f"record {record}"):
        load_adapter(path)


def test_a_flipped_bit_in_a_tensor_names_the_tensor(tmp_path: Path) -> None:
    path = write_adapters(tmp_path)
    flip_bit(path, middle_of(path, "data/1"))
    assert verify([tmp_path]).findings[0].tensor == "embedding.scale"


def test_a_flipped_bit_in_the_seal_is_found(tmp_path: Path) -> None:
    flip_bit(write_adapters(tmp_path), -1)
    (finding,) = verify([tmp_path]).findings
    assert (finding.code, "seal" in finding.message) == ("FA009", True)


def test_sound_adapters_have_no_finding(tmp_path: Path) -> None:
    write_adapters(tmp_path)
    assert verify([tmp_path]).findings == ()


def test_adapters_are_not_named_where_generators_are_missing(tmp_path: Path) -> None:
    write_adapters(tmp_path / "adapters")
    (alone,) = verify([tmp_path / "missing"]).findings
    assert "there are no checkpoints beside it either" in alone.message
    write_set(tmp_path / "generators", "unified")
    (beside,) = verify([tmp_path / "missing"]).findings
    assert f"{tmp_path / 'generators'} holds vae_unified (2)" in beside.message
    assert "adapter" not in beside.message.replace(str(tmp_path), "")


def test_metadata_are_read_without_pytorch_or_pydantic(tmp_path: Path) -> None:
    path = write_adapters(tmp_path)
    script = (
        "import sys; from pathlib import Path; from feda2v_cli.verifier.inspection import inspect_header;"
        f"print(inspect_header(Path({str(path)!r})).adapter.node_id);"
        "print([name for name in ('torch', 'pydantic', 'numpy') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout == "0\n[]\n"


@pytest.mark.parametrize("node", [None, 0])
def test_metadata_are_the_same_after_a_journey_through_json(node: int | None) -> None:
    metadata = adapter_metadata_of(node)
    assert AdapterMetadata.from_dict(json.loads(json.dumps(metadata.to_dict()))) == metadata


@pytest.mark.parametrize(
    "field", [name for name in adapter_metadata_of(0).to_dict() if name not in AdapterMetadata.optional]
)
def test_a_missing_field_and_one_of_the_wrong_type_are_named(field: str) -> None:
    plain = adapter_metadata_of(0).to_dict()
    with pytest.raises(MetadataError, match=f"metadata field {field}"):
        AdapterMetadata.from_dict(plain | {field: [1.5, {"a": object}]})
    del plain[field]
    with pytest.raises(MetadataError, match=f"metadata field {field} is missing"):
        AdapterMetadata.from_dict(plain)


def test_adapters_are_not_loaded_as_a_generator(tmp_path: Path) -> None:
    with pytest.raises(FindingsError, match="holds a 'adapter', expected generator"):
        load_checkpoint(write_adapters(tmp_path))


DAMAGE: dict[str, tuple[str, Callable[[dict[str, torch.Tensor]], object]]] = {
    "NaN": ("FA011", lambda state: state["clip.input.weight"].fill_(float("nan"))),
    "empty": ("FA008", lambda state: state.clear()),
    "missing": ("FA008", lambda state: state.pop("clip.query")),
    "extra": ("FA008", lambda state: state.update(more=torch.zeros(1))),
    "shape": ("FA008", lambda state: state.update({"clip.target_scale": torch.zeros(1)})),
    "dtype": ("FA008", lambda state: state.update({"embedding.mean": state["embedding.mean"].double()})),
    "no point": ("FA011", lambda state: state["clip.target_scale"].fill_(3e38)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_tensors_are_found_by_the_deep_check_and_not_loaded(tmp_path: Path, damage: str) -> None:
    code, change = DAMAGE[damage]
    path = write_adapters(tmp_path)
    state = adapter_state_of(adapter_metadata_of(0))
    state["clip.output.bias"].fill_(5.0)
    change(state)
    write_checkpoint(path, adapter_metadata_of(0), state)
    findings = verify([tmp_path], deep=True).findings
    assert {finding.code for finding in findings} == {code}
    with pytest.raises(FindingsError) as caught:
        load_adapter(path)
    assert caught.value.code == code


def test_sound_adapters_pass_the_deep_check(tmp_path: Path) -> None:
    write_adapters(tmp_path)
    assert verify([tmp_path], deep=True).findings == ()
