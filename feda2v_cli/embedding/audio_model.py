"""Audio models of Hugging Face as they lie on a disk: whether all files are there, and a hash of what they hold.

Neither PyTorch nor transformers is needed: the verifier asks too.
"""

import hashlib
import os
import re
from pathlib import Path

from feda2v_cli.embedding.hub import Fetching, find_model
from feda2v_cli.errors import FailedError

_KEY = "embedding.encoder"
#: Files that hold weights, the ones that are preferred first.
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")
#: Files that say how a sound becomes the model's input; one of them is enough.
_FEATURES = ("preprocessor_config.json", "processor_config.json")


def may_name_model(text: str) -> bool:
    """Whether a text is a path or `organisation/model`; a name without either means nothing built in here."""
    return "/" in text or text.startswith("~") or os.path.isdir(text)


def find_audio_model(name_or_path: str, *, fetch: bool) -> Path:
    """The directory that holds a model.

    Args:
        name_or_path: a directory, or `organisation/model`.
        fetch: whether one that is not on this machine is taken from the hub.

    Raises:
        MissingError: it is not there, or not complete.
    """
    hint = f"with a network: hf download {name_or_path}; or name a directory that holds the model"
    return find_model(name_or_path, _KEY, _lacking, Fetching(fetch, hint=hint))


def digest_of_model(directory: Path) -> str:
    """A hash of the files that decide what a model makes: weights, architecture, features.

    Raises:
        FailedError: one cannot be read.
    """
    digest = hashlib.sha256()
    features = [directory / name for name in _FEATURES if (directory / name).is_file()]
    for path in (*_weight_files(directory), directory / "config.json", *features):
        try:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise FailedError(f"{path} cannot be read — {error.strerror}") from error
    return digest.hexdigest()[:32]


def short_name(name_or_path: str) -> str:
    """What people call a model: the last part of its name or path."""
    last = name_or_path.rstrip("/").rpartition("/")[2]
    if last in ("", ".", "..", "~"):
        last = Path(name_or_path).expanduser().resolve().name
    return re.sub(r"[^\w.-]", "_", last) or "model"


def _lacking(directory: Path) -> list[str]:
    missing = [] if (directory / "config.json").is_file() else ["config.json"]
    missing += [] if any((directory / name).is_file() for name in _FEATURES) else [_FEATURES[0]]
    return missing + ([] if _weight_files(directory) else [" or ".join(_WEIGHTS)])


def _weight_files(directory: Path) -> list[Path]:
    """The files that hold a model's weights, sorted; safetensors where there are both."""
    return next((files for pattern in _WEIGHTS if (files := sorted(directory.glob(pattern)))), [])
