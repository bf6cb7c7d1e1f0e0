"""Pickles that want to run something are named, and leave no trace."""

import contextlib
import importlib
import io
import os
import pickle
import runpy
import struct
import sys

import pytest
import torch
from checkpoint_samples import metadata_of, write
from checkpoint_scenarios import Payload
from hypothesis import given, settings
from hypothesis import strategies as st

from feda2v_cli.checkpoint.defect import Defect, Unsafe
from feda2v_cli.checkpoint.format.pickled import read_pickle
from feda2v_cli.verifier.finding import FindingsError
from feda2v_cli.verifier.single import load_checkpoint
from feda2v_cli.verifier.verify import verify

PAYLOADS = {
    "posix.system": Payload(os.system, "touch trace"),
    "builtins.eval": Payload(eval, "open('trace', 'w')"),
    "builtins.exec": Payload(exec, "open('trace', 'w')"),
    "runpy._run_code": Payload(runpy._run_code, "open('trace', 'w')", {}),
    "importlib.import_module": Payload(importlib.import_module, "this"),
    "builtins.__import__": Payload(__import__, "this"),
    "_io.open": Payload(io.open, "trace", "w"),
    "builtins.getattr": Payload(getattr, "", "join"),
}


def torch_file(path, content, zip_form):
    """A file as `torch.save` writes it, in the form of today or of old."""
    torch.save(content, path, _use_new_zipfile_serialization=zip_form)


@pytest.mark.parametrize("zip_form", [True, False])
@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_in_a_checkpoint_is_named_and_leaves_no_trace(tmp_path, monkeypatch, name, zip_form):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "this", raising=False)
    content = {"generator_type": "vae", "generator_state_dict": {"weight": torch.zeros(2)}, "x": PAYLOADS[name]}
    torch_file(tmp_path / "vae_unified_node0.pt", content, zip_form)
    findings = verify([tmp_path], deep=True).findings
    assert [finding.code for finding in findings] == ["FA010"]
    assert name.replace("_io.", "io.").split(".")[-1] in findings[0].message
    assert [path.name for path in tmp_path.iterdir()] == ["vae_unified_node0.pt"]
    assert "this" not in sys.modules


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_is_named_in_every_protocol(name, protocol):
    with pytest.raises(Unsafe, match=name.split(".")[-1]):
        read_pickle(io.BytesIO(pickle.dumps({"a": [PAYLOADS[name]]}, protocol=protocol)))


def test_a_payload_in_a_sealed_checkpoint_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, metadata_of("unified"), weight=torch.zeros(1), payload=_Smuggled(torch.zeros(1)))
    with pytest.raises(FindingsError) as caught:
        load_checkpoint(path)
    assert caught.value.code == "FA010"
    assert [path.name for path in tmp_path.iterdir()] == ["vae_unified_node0.pt"]


class _Smuggled(torch.Tensor):
    """A tensor of a class of its own, which pickles as a call."""

    def detach(self):
        return self

    cpu = contiguous = detach

    def __reduce_ex__(self, _):
        return os.system, ("touch trace",)


@pytest.mark.parametrize(
    "instructions",
    [
        b"(ios\nsystem\n.",
        b"(cos\nsystem\nVtouch trace\no.",
        b"cos\nsystem\n(Vtouch trace\ntR.",
        b"\x80\x02\x82\x01.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        b"\x80\x02ccollections\nOrderedDict\n)\x81.",
        b"\x80\x02}}b.",
        b"\x80\x02ctorch.storage\n_load_from_bytes\n.",
        b"\x80\x02ctorch\nload\n.",
        b"\x80\x02cbuiltins\ndict\n.",
    ],
    ids=["inst", "obj", "reduce", "extension", "stack global", "new object", "build", "nested load", "load", "dict"],
)
def test_every_instruction_that_runs_something_is_refused(instructions):
    with pytest.raises(Unsafe):
        read_pickle(io.BytesIO(instructions))


BOMBS = {
    "a memo index of two billion": b"\x80\x02Nr\xff\xff\xff\x7f0N.",
    "a million lists": b"\x80\x02(" + b"]" * 1_000_000 + b"l.",
    "an integer of a million digits": b"\x80\x02\x8b" + struct.pack("<i", 1_000_000) + b"\x7f" * 1_000_000 + b".",
    "text that is said to be huge": b"\x80\x02X\xff\xff\xff\xffabc.",
    "bytes that are said to be huge": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"abc.",
    "a tuple that is its own grandchild 60 times": b"\x80\x02)" + b"2\x86" * 60 + b"N}q\x00h\x00h\x00u.",
    "a hash of nested tuples": b"\x80\x02})" + b"q\x00h\x00\x86" * 60 + b"Ns.",
    "deep nesting": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "a storage of 2**62 elements": b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000"
    b"X\x03\x00\x00\x00cpu\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x40tQ.",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_does_not_explode(bomb):
    with contextlib.suppress(Defect):
        read_pickle(io.BytesIO(BOMBS[bomb]))


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=500)
def test_any_bytes_are_plain_values_or_a_defect(content):
    with contextlib.suppress(Defect):
        read_pickle(io.BytesIO(b"\x80\x02" + content))


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(plain, st.sampled_from([0, 1, 2, 3, 4, 5]))
def test_plain_values_are_read_as_they_were_pickled(value, protocol):
    assert read_pickle(io.BytesIO(pickle.dumps(value, protocol=protocol))).value == value


def test_a_tensor_that_reaches_beyond_its_storage_is_a_defect(tmp_path):
    path = tmp_path / "vae_unified_node0.pt"
    tensor = torch.zeros(4)
    torch.save({"generator_state_dict": {"a": tensor}}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    assert content.count(b"K\x04\x85") == 1
    path.write_bytes(content.replace(b"K\x04\x85", b"K\x05\x85"))
    (finding,) = verify([path]).findings
    assert finding.code == "FA009"
    assert "reaches beyond its record" in finding.message
