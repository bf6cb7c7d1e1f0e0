"""Mutated files: no crash, no hang, no memory, nothing executed, and nothing unsound passes.

`benchmarks/verify_checkpoints.py` does the same with 20,000 files.
"""

import time
import tracemalloc

import pytest
import torch
from checkpoint_samples import metadata_of, write
from legacy_samples import client
from mutations import mutated

from feda2v_cli.verifier.inspection import inspect

FILES_EACH = 1000
LONGEST_SECONDS = 1.0
ALLOWED_BYTES = 100_000_000


@pytest.fixture(params=["of today", "of the earlier system", "before archives"])
def original(request, tmp_path):
    """The bytes of a sound file."""
    path = tmp_path / "vae_node0_class_dog_round_10.pt"
    if request.param == "of today":
        return write(tmp_path, metadata_of("unified")).read_bytes()
    torch.save(client(), path, _use_new_zipfile_serialization=request.param == "of the earlier system")
    return path.read_bytes()


def test_no_mutation_crashes_hangs_or_passes(original, tmp_path, monkeypatch):
    workplace = tmp_path / "workplace"
    workplace.mkdir()
    monkeypatch.chdir(workplace)
    path = tmp_path / "vae_unified_node0.pt"
    sealed = b"feda2v seal" in original
    for seed in range(FILES_EACH):
        content = mutated(original, seed)
        path.write_bytes(content)
        start = time.process_time()
        inspection = inspect(path)
        assert time.process_time() - start < LONGEST_SECONDS, f"seed {seed}"
        if sealed and content != original:
            assert inspection.defects, f"seed {seed}"
    assert list(workplace.iterdir()) == []


def test_no_mutation_takes_much_memory(original, tmp_path):
    path = tmp_path / "vae_unified_node0.pt"
    tracemalloc.start()
    for seed in range(200):
        path.write_bytes(mutated(original, seed))
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        inspect(path)
        assert tracemalloc.get_traced_memory()[1] - before < 10 * len(original) + ALLOWED_BYTES, f"seed {seed}"
    tracemalloc.stop()
