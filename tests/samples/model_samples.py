"""Tiny audio models of Hugging Face with random weights, as they lie on a disk."""

import shutil
from pathlib import Path

import torch


def write_ast(directory: Path, seed: int = 0, max_length: int = 256, mel_bins: int = 32) -> Path:
    """A spectrogram transformer of 10 ms a frame: a window of 2.56 s. With 1024 frames and 128 bins: 1,214 tokens."""
    import transformers

    torch.manual_seed(seed)
    config = transformers.ASTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        num_mel_bins=mel_bins,
        max_length=max_length,
    )
    transformers.ASTModel(config).save_pretrained(directory)
    transformers.ASTFeatureExtractor(num_mel_bins=mel_bins, max_length=max_length).save_pretrained(directory)
    return directory


def write_clap(directory: Path, *, fused: bool = False) -> Path:
    """CLAP, as small as its grid of windows allows: 10 s at 48 kHz, 32 dimensions."""
    import transformers

    torch.manual_seed(0)
    tower = {
        "spec_size": 256, "num_mel_bins": 64, "patch_size": 4, "patch_stride": [4, 4], "window_size": 8,
        "depths": [1, 1],
        "num_attention_heads": [2, 2], "patch_embeds_hidden_size": 16, "hidden_size": 32, "num_hidden_layers": 2,
        "enable_fusion": fused, "fusion_type": None,
    }  # fmt: skip
    text = {
        "vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32
    }  # fmt: skip
    config = transformers.ClapConfig(text_config=text, audio_config=tower, projection_dim=16)
    transformers.ClapModel(config).save_pretrained(directory)
    truncation = "fusion" if fused else "rand_trunc"
    transformers.ClapFeatureExtractor(feature_size=64, truncation=truncation).save_pretrained(directory)
    return directory


def store_as_hub_does(model: Path, home: Path, name: str) -> None:
    """Put a model into the local store of the hub under a name, without the hub.

    Args:
        model: directory of the model.
        home: what the variable `HF_HOME` says.
        name: `organisation/model`.
    """
    revision = 40 * "a"
    repository = home / "hub" / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(revision)
    shutil.copytree(model, repository / "snapshots" / revision)
