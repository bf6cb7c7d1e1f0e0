"""Sound checkpoints of every granularity, and of adapters, with small random tensors."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from feda2v_cli.adapter import adapter_shapes
from feda2v_cli.checkpoint.file import write_checkpoint
from feda2v_cli.checkpoint.metadata import AdapterMetadata, GeneratorMetadata
from feda2v_cli.generator.rebuild import state_shapes
from feda2v_cli.privacy.digest import digest_of_basis

GROUPS = {"animals": ("dog", "cow"), "nature_sounds": ("rain", "sea_waves")}
NODES = {0: ("dog", "cow"), 1: ("rain", "sea_waves")}
BASE_NAMES = {"unified": "vae_unified", "per_class": "vae_perclass", "per_group": "vae_group"}

GRANULARITIES = tuple(BASE_NAMES)


def architecture_of(classes: int) -> dict[str, Any]:
    """A small VAE."""
    sizes = {"tokens": 4, "dim": 8, "rank": 3, "classes": classes, "directions": 2, "hidden": 4, "latent": 2}
    return {"type": "vae", "projection": "pca", "remainder": "diagonal", **sizes}


#: The name of the public basis that a file holds, whatever its tensors are.
ITS_OWN = "its own"
ON_A_PUBLIC_BASIS = architecture_of(2) | {"projection": "public", "public_basis": ITS_OWN}
#: A promise that is kept.
CLAIM = {
    "epsilon": 1.0, "delta": 1e-5, "mechanism": "gaussian", "released": "class means", "noise_multiplier": 4.0,
    "public_basis": ITS_OWN,
}  # fmt: skip


def metadata_of(granularity: str, node: int = 0, key: str | None = None, **changes: Any) -> GeneratorMetadata:
    """The metadata of one of the generators of a small run with two nodes."""
    classes = {"unified": NODES[node], "per_class": (key,), "per_group": GROUPS.get(str(key), ())}[granularity]
    values: dict[str, Any] = {
        "base_name": BASE_NAMES[granularity],
        "node_id": node,
        "round": 10,
        "final": True,
        "timestamp": "2026-11-20T10:00:00+00:00",
        "generator_type": "vae",
        "generator_granularity": granularity,
        "run_granularity": granularity,
        "generator_key": key,
        "generator_classes": classes,
        "class_name": key if granularity == "per_class" else None,
        "group_name": key if granularity == "per_group" else None,
        "generator_class_groups": GROUPS,
        "node_classes": NODES[node],
        "expected_keys": tuple(keys_of(granularity, node)) if granularity != "unified" else (),
        "architecture": architecture_of(len(classes)),
        "encoder": {"name": "melstats", "sample_rate": 16000, "seconds": 5.0, "tokens": 4, "version": 1},
        "embedding_shape": (4, 8),
        "dataset_name": "builtin",
        "train_folds": (1, 2, 3, 4),
        "test_folds": (5,),
        "samples_per_class": dict.fromkeys(classes, 32),
        "dataset_fingerprint": "0f" * 32,
        "seed": 0,
        "generator_training_epochs": 200,
        "optimiser": {"name": "adamw", "learning_rate": 0.001},
        "final_losses": {"loss": 12.5},
        "quality": None,
        "package_version": "0.1.0",
        "torch_version": "2.14.1",
        "profile_hash": "ab" * 32,
    }
    return GeneratorMetadata(**(values | changes))


def keys_of(granularity: str, node: int) -> list[str | None]:
    """Keys of a node's generators."""
    if granularity == "unified":
        return [None]
    if granularity == "per_class":
        return list(NODES[node])
    return [group for group, classes in GROUPS.items() if set(classes) & set(NODES[node])]


def state_of(metadata: GeneratorMetadata, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random tensors that fit the architecture."""
    random = torch.Generator().manual_seed(seed)
    shapes = state_shapes(metadata.architecture)
    return {name: torch.randn(shape, generator=random, dtype=dtype) for name, (shape, dtype) in shapes.items()}


def write(directory: Path, metadata: GeneratorMetadata, seed: int = 0, **tensors: torch.Tensor) -> Path:
    """Write one checkpoint; it names the public basis that it holds where it is to name `ITS_OWN`."""
    path = directory / metadata.name.filename
    state = state_of(metadata, seed) | tensors
    if metadata.architecture.get("public_basis") == ITS_OWN:
        digests = {name: hashlib.sha256(one.numpy().tobytes()).hexdigest() for name, one in state.items()}
        basis = {"public_basis": digest_of_basis(digests)}
        claim = metadata.privacy and metadata.privacy | basis
        metadata = replace(metadata, architecture=metadata.architecture | basis, privacy=claim)
    write_checkpoint(path, metadata, state)
    return path


def write_set(
    directory: Path, granularity: str, rounds: tuple[int | None, ...] = (None,), **changes: Any
) -> list[Path]:
    """Write the checkpoints of a whole run, as training does: of each generator one file for each of `rounds`."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for node in NODES:
        for place, key in enumerate(keys_of(granularity, node)):
            for end in rounds:
                progress = {"final": end is None, "round": 10 if end is None else end}
                metadata = metadata_of(granularity, node, key, **(progress | changes))
                paths.append(write(directory, metadata, 100 * node + 10 * place + (end or 10)))
    return paths


def adapter_metadata_of(node: int | None) -> AdapterMetadata:
    """The metadata of the adapters of a node, or of the server."""
    return AdapterMetadata(
        base_name="adapter",
        node_id=node,
        round=10,
        strategy="fedavg",
        classes=("cow", "dog"),
        node_classes=("cow", "dog"),
        architecture={"dim": 8, "hidden": 4, "spaces": {"clip": [6]}},
        encoder={"name": "melstats"},
        embedding_shape=(4, 8),
        targets={"name": "codes"},
        targets_fingerprint="0f" * 32,
        dataset_name="builtin",
        train_folds=(1, 2, 3, 4),
        test_folds=(5,),
        synthetic_per_class=0,
        generators={},
        seed=0,
        accuracy=0.9,
        package_version="0.1.0",
        torch_version="2.14.1",
        profile_hash="ab" * 32,
    )


def write_adapters(directory: Path) -> Path:
    """Write the adapters of a node and of the server; the node's is returned."""
    directory.mkdir(parents=True, exist_ok=True)
    for node in (None, 0):
        metadata = adapter_metadata_of(node)
        path = directory / metadata.filename
        write_checkpoint(path, metadata, adapter_state_of(metadata, 0 if node is None else 1))
    return path


def adapter_state_of(metadata: AdapterMetadata, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random tensors that fit the architecture."""
    random = torch.Generator().manual_seed(seed)
    shapes = adapter_shapes(metadata.architecture)
    return {name: torch.randn(shape, generator=random, dtype=dtype) for name, (shape, dtype) in shapes.items()}
