"""Where the files of a pre-trained model are: a directory, the local store of Hugging Face, or its hub."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from feda2v_cli.errors import MissingError, closest

_PATTERNS = ("model*.safetensors", "pytorch_model*.bin")
_SMALL_FILES = ("*.json", "*.txt")


def weight_files(directory: Path) -> list[Path]:
    """The files that hold a model's weights, sorted; safetensors where there are both."""
    return next((files for pattern in _PATTERNS if (files := sorted(directory.glob(pattern)))), [])


def find_model(name_or_path: str) -> Path:
    """The directory that holds a model. What is on this machine is used without the network.

    Args:
        name_or_path: a directory, or `organisation/model`.

    Raises:
        MissingError: it is neither here nor on a hub that can be reached, or has no weights.
    """
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return _complete(path)
    if path.is_absolute() or name_or_path.startswith((".", "~")):
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        near = closest(path.name, siblings)
        raise MissingError(
            f"embedding.encoder = {name_or_path} — no such directory",
            [f"did you mean {path.parent / near}?"] if near else [],
        )
    return _from_hub(name_or_path)


def _from_hub(name: str) -> Path:
    hub: Any = import_module("huggingface_hub")  # comes with transformers
    if not sys.stderr.isatty():
        hub.utils.disable_progress_bars()
    try:
        stored = Path(hub.snapshot_download(name, local_files_only=True))
    except (OSError, ValueError):
        pass  # not in the local store
    else:
        if weight_files(stored) and (stored / "config.json").is_file():
            return stored
    try:
        for pattern in _PATTERNS:
            fetched = Path(hub.snapshot_download(name, allow_patterns=[*_SMALL_FILES, pattern]))
            if weight_files(fetched):
                break
    except Exception as error:  # of a network, any exception may come
        raise MissingError(
            f"embedding.encoder = {name} is not on this machine, and cannot be fetched from Hugging Face",
            [f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"],
            hint=f"with a network: hf download {name}; or name a directory that holds the model",
        ) from error
    return _complete(fetched)


def _complete(directory: Path) -> Path:
    missing = [] if (directory / "config.json").is_file() else ["config.json"]
    missing += [] if (directory / "preprocessor_config.json").is_file() else ["preprocessor_config.json"]
    missing += [] if weight_files(directory) else [" or ".join(_PATTERNS)]
    if missing:
        raise MissingError(
            f"{directory} holds no complete audio model — it lacks {', '.join(missing)}",
            hint="expected a directory as save_pretrained writes it, of the model and of its feature extractor",
        )
    return directory
