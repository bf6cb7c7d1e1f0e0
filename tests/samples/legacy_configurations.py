"""Configurations as users of the earlier system have them: long, half of it left over, with zeros beside switches."""

from collections.abc import Sequence
from typing import Any

Configuration = dict[str, Any]


def _common(**feda2v: Any) -> Configuration:
    return {
        "experiment": {"goal": "audio to images", "device": "cuda", "device_id": "0", "runs": 1, "seed": 42},
        "federation": {
            "algorithm": "FedA2V",
            "num_clients": 2,
            "global_rounds": 2,
            "local_epochs": 1,
            "join_ratio": 1.0,
            "eval_gap": 1,
            "model_aggregation": "none",
        },
        "training": {"optimizer": "AdamW", "learning_rate": 0.001, "batch_size": 8, "weight_decay": 0.0001},
        "model": {"backbone": "a2v", "num_classes": 10},
        "dataset": {"name": "ESC50", "path": "dataset/Audio/esc50-v2-master", "image_size": 224, "balance": False},
        "wandb": {"disabled": True},
        "rewind": {"enabled": False, "epochs": 0},
        "feda2v": {
            "diffusion_type": "flux",
            "audio_model_name": "MIT/ast-finetuned-audioset-10-10-0.4593",
            "img_pipe_name": "runwayml/stable-diffusion-v1-5",
            "project": "sinestesia",
            "entity": "ctlab-team",
            "wandb_mode": "offline",
            "adapter_aggregation_mode": "avg",
            "clip_adapter_learning_rate": 0.001,
            "clip_adapter_learning_rate_schedule": True,
            "t5_adapter_learning_rate_schedule": False,
            "clip_adapter_weight_decay": 0.0001,
            "t5_adapter_weight_decay": 0.001,
            "global_model_train": False,
            "global_model_train_epochs": 0,
            "kd_training_epochs": 0,
            "generate_nodes_images_frequency": 0,
            "generate_global_images_frequency": 0,
            "images_output_dir": "output_images",
            "use_generator": False,
            "generator_training_epochs": 0,
            "adapter_save_checkpoint": False,
            "adapter_checkpoint_frequency": 0,
            "store_audio_embeddings": False,
        }
        | feda2v,
    }


def generators(**feda2v: Any) -> Configuration:
    """RUN 1 on all 1,214 tokens, a generator a class."""
    return _common(
        use_generator=True,
        generator_only_mode=True,
        generator_training_mode=True,
        generator_granularity="per_class",
        generator_checkpoint_dir="checkpoints/generators_per_class",
        generator_checkpoint_base_name="vae_perclass",
        generator_training_epochs=2,
        generator_training_sequence_length=1214,
        generator_output_sequence_length=1214,
        **feda2v,
    )


def with_generators(**feda2v: Any) -> Configuration:
    """RUN 2 with the generators of RUN 1."""
    return _common(
        use_generator=True,
        use_pretrained_generators=True,
        generator_load_checkpoint=True,
        generator_granularity="per_class",
        generator_checkpoint_dir="checkpoints/generators_per_class",
        generator_checkpoint_base_name="vae_perclass",
        generator_training_sequence_length=1214,
        synthetic_samples_per_class=4,
        **feda2v,
    )


def adapters(**feda2v: Any) -> Configuration:
    """RUN 2 without generators: what most files are."""
    return _common(**feda2v)


def esc50_nodes(*holdings: Sequence[str]) -> Configuration:
    """Nodes of ESC-50 that name folds."""
    return {
        str(index): {
            "dataset": "ESC50",
            "selected_classes": list(classes),
            "diffusion_type": "flux",
            "use_folds": True,
            "train_folds": [0, 1, 2, 3],
            "test_folds": [4],
            "train_ratio": 0.8,
            "val_ratio": 0.1,
            "adapter_dropout": 0.1,
        }
        for index, classes in enumerate(holdings)
    }


def vegas_nodes(*holdings: Sequence[str], block: int = 15) -> Configuration:
    """Nodes of VEGAS that share classes, each with a block of its own."""
    return {
        str(index): {
            "dataset": "VEGAS",
            "selected_classes": list(classes),
            "diffusion_type": "flux",
            "train_ratio": 0.7,
            "val_ratio": 0.1,
            "test_ratio": 0.2,
            "num_samples_per_class": 0,
            "samples_per_node": block,
            "node_split_id": index,
            "node_split_seed": 42,
        }
        for index, classes in enumerate(holdings)
    }


def vggsound_nodes(*holdings: Sequence[str], official: bool = True) -> Configuration:
    """Nodes of VGGSound, whose classes have blanks."""
    return {
        str(index): {
            "dataset": "VGGSound",
            "selected_classes": [name.replace("_", " ") for name in classes],
            "diffusion_type": "flux",
            "num_samples_per_class": 14,
            "use_official_split": official,
        }
        for index, classes in enumerate(holdings)
    }
