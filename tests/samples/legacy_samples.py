"""What the earlier system saved, field for field."""

from collections.abc import Sequence
from typing import Any

import torch


def state(seed: int = 0) -> dict[str, torch.Tensor]:
    """The state dict of a small model."""
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU(), torch.nn.Linear(4, 6)).state_dict()


def client(
    granularity: str = "per_class", key: str | None = "dog", node: int = 0, end: int | None = 10, **changes: Any
) -> dict[str, Any]:
    """What a node of the earlier system saved."""
    return {
        "client_id": str(node),
        "node_id": node,
        "round": end,
        "timestamp": "2025-12-03T10:00:00.123456",
        "generator_type": "vae",
        "generator_granularity": granularity,
        "diffusion_type": "flux",
        "generator_training_epochs": 5,
        "synthetic_samples_per_class": 5,
        "generator_key": key,
        "class_name": key if granularity == "per_class" else None,
        "group_name": key if granularity == "per_group" else None,
        "generator_classes": [key] if key else None,
        "dataset_name": "ESC50",
        "selected_classes": ["dog", "cow"],
        "train_folds": [0, 1, 2, 3],
        "test_folds": [4],
        "num_train_samples": 64,
        "num_test_samples": 16,
        "audio_model_name": "MIT/ast-finetuned-audioset-10-10-0.4593",
        "img_pipe_name": "black-forest-labs/FLUX.1-schnell",
        "sequence_length": 4,
        "visual_dim": 4864,
        "use_conditioned_vae": True,
        "generator_state_dict": state(),
    } | changes


def server(keys: Sequence[str]) -> dict[str, Any]:
    """What the server of the earlier system saved: one file for many generators."""
    return {
        "checkpoint_type": "server",
        "is_global": True,
        "round": 10,
        "generator_type": "vae",
        "federated_classes": list(keys),
        "prompt_generators": {key: state(seed) for seed, key in enumerate(keys)},
        "generator_optimizers": {
            key: {"state": {}, "param_groups": [{"lr": 0.01, "betas": (0.9, 0.999)}]} for key in keys
        },
        "generator_keys": list(keys),
        "num_generators": len(keys),
    }
