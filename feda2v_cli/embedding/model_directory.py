"""The files of an audio model of Hugging Face: where they lie, whether all are there, and a hash of what they hold.

Neither PyTorch nor transformers is needed: the verifier asks too.
"""

import hashlib
import os
import re
import stat
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from feda2v_cli.errors import FailedError, MissingError, closest, first_line

#: `organisation/model` on the hub of Hugging Face.
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")

#: Files that hold weights, the ones that are preferred first.
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")
#: Files that say how a sound becomes the model's input; one of them is enough.
_FEATURES = ("preprocessor_config.json", "processor_config.json")
_SMALL_FILES = ("*.json", "*.txt")


def may_name_model(text: str) -> bool:
    """Whether a text is a path or `organisation/model`; a name without either means nothing built in here."""
    return "/" in text or text.startswith("~") or os.path.isdir(text)


def find_model(name_or_path: str) -> Path:
    """The directory that holds a model. What is on this machine is used without the network.

    Args:
        name_or_path: a directory, or `organisation/model`.

    Raises:
        MissingError: it is neither here nor on a hub that can be reached, or has no weights.
    """
    return _directory_at(name_or_path) or _stored(name_or_path) or _fetched(name_or_path)


def find_model_here(name_or_path: str) -> Path:
    """The directory that holds a model on this machine; nothing is fetched.

    Raises:
        MissingError: it is not here, or not complete.
    """
    found = _directory_at(name_or_path) or _stored(name_or_path)
    if found is None:
        raise MissingError(f"embedding.encoder = {name_or_path} is not on this machine", hint=_hint(name_or_path))
    return found


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


def _directory_at(name_or_path: str) -> Path | None:
    """The directory that a path means; None when it is none and may be the name of a model on the hub.

    Raises:
        MissingError: it can only be a path, and leads nowhere; or the model in it is not complete.
    """
    path = Path(name_or_path)
    try:
        path = path.expanduser()
        if stat.S_ISDIR(path.stat().st_mode):
            return _checked_complete(path)
        problem = "that is no directory"
    except FileNotFoundError:
        problem = "no such directory"
    except OSError as error:
        problem = error.strerror or type(error).__name__
    except (RuntimeError, ValueError) as error:  # of `~nobody`, and of a null byte
        problem = first_line(error)
    if _HUB_NAME.fullmatch(name_or_path) and not name_or_path.startswith((".", "~")):
        return None
    raise MissingError(f"embedding.encoder = {name_or_path} — {problem}", _siblings_like(path))


def _siblings_like(path: Path) -> list[str]:
    try:
        near = closest(path.name, [entry.name for entry in path.parent.iterdir()])
    except (OSError, ValueError):
        return []
    return [f"did you mean {path.parent / near}?"] if near else []


def _hub(name: str) -> Any:
    """The package that knows the hub and its store. It comes with transformers, and imports no PyTorch."""
    try:
        hub = import_module("huggingface_hub")
    except ImportError as error:
        raise MissingError(
            f"embedding.encoder = {name} needs transformers, which is not installed", hint="pip install 'feda2v[hf]'"
        ) from error
    if not sys.stderr.isatty():
        hub.utils.disable_progress_bars()
    return hub


def _stored(name: str) -> Path | None:
    """A model in the local store; None when it is not there, or not complete."""
    try:
        stored = Path(_hub(name).snapshot_download(name, local_files_only=True))
    except (OSError, ValueError):
        return None
    return None if _missing_in(stored) else stored


def _fetched(name: str) -> Path:
    """A model from the hub, which is then in the local store."""
    hub = _hub(name)
    try:
        for pattern in _WEIGHTS:
            fetched = Path(hub.snapshot_download(name, allow_patterns=[*_SMALL_FILES, pattern]))
            if _weight_files(fetched):
                break
    except Exception as error:  # of a network, any exception may come
        raise MissingError(
            f"embedding.encoder = {name} is not on this machine, and cannot be fetched from Hugging Face",
            [f"{type(error).__name__}: {first_line(error)}"],
            hint=_hint(name),
        ) from error
    return _checked_complete(fetched)


def _hint(name: str) -> str:
    return f"with a network: hf download {name}; or name a directory that holds the model"


def _checked_complete(directory: Path) -> Path:
    missing = _missing_in(directory)
    if missing:
        raise MissingError(
            f"{directory} holds no complete audio model — it lacks {', '.join(missing)}",
            hint="expected a directory as save_pretrained writes it, of the model and of its feature extractor",
        )
    return directory


def _missing_in(directory: Path) -> list[str]:
    missing = [] if (directory / "config.json").is_file() else ["config.json"]
    missing += [] if any((directory / name).is_file() for name in _FEATURES) else [_FEATURES[0]]
    return missing + ([] if _weight_files(directory) else [" or ".join(_WEIGHTS)])


def _weight_files(directory: Path) -> list[Path]:
    """The files that hold a model's weights, sorted; safetensors where there are both."""
    return next((files for pattern in _WEIGHTS if (files := sorted(directory.glob(pattern)))), [])
