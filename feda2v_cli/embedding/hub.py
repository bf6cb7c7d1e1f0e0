"""Finding pre-trained models: in a directory, in the local store of Hugging Face, or, if the user asks, on its hub."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from feda2v_cli.errors import MissingError, closest, first_line
from feda2v_cli.paths import entries, expanded, is_directory, is_file

#: `organisation/model` on the hub of Hugging Face.
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
#: What a model is made of; pictures, notebooks and weights of other frameworks are left where they are.
_PATTERNS = ("*.json", "*.txt", "*.model", "*.safetensors")


def ignore_text(text: str) -> None:
    """The listener of those who do not want to know."""


@dataclass(frozen=True)
class Fetching:
    """Whether what is not on this machine may be downloaded.

    Attributes:
        allowed: whether the user has asked for it.
        tell: is told what is fetched and how large it is, before it is fetched.
    """

    allowed: bool = False
    tell: Callable[[str], None] = ignore_text


NOTHING_IS_FETCHED = Fetching()


def find_model(name_or_path: str, key: str, marker: str, fetching: Fetching) -> Path:
    """The directory of a model.

    Args:
        name_or_path: a directory, or `organisation/model`.
        key: of the profile, for messages.
        marker: file without which a directory holds no such model.
        fetching: whether it may be downloaded.

    Raises:
        MissingError: it is not there.
    """
    path = expanded(Path(name_or_path), key)
    if is_directory(path):
        if not (path / marker).is_file():
            raise MissingError(
                f"{key} = {name_or_path} — the directory has no {marker}",
                ["expected a directory as save_pretrained writes it"],
            )
        return path
    if is_file(path):
        raise MissingError(f"{key} = {name_or_path} is a file — expected a directory as save_pretrained writes it")
    if not HUB_NAME.fullmatch(name_or_path) or name_or_path.startswith("."):
        siblings = [entry.name for entry in entries(path.parent) if entry.is_dir()] if is_directory(path.parent) else []
        near = closest(path.name, siblings)
        raise MissingError(
            f"{key} = {name_or_path} — no such directory", [f"did you mean {path.parent / near}?"] if near else []
        )
    return _from_hub(name_or_path, key, marker, fetching)


def transformers_for(purpose: str) -> Any:
    """The package transformers.

    Args:
        purpose: what needs it, like `adapter.targets = NAME`.

    Raises:
        MissingError: it is not installed.
    """
    try:
        transformers: Any = import_module("transformers")
    except ImportError as error:
        raise MissingError(
            f"{purpose} needs transformers, which is not installed", hint="pip install 'feda2v[hf]'"
        ) from error
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    return transformers


def _from_hub(name: str, key: str, marker: str, fetching: Fetching) -> Path:
    transformers_for(f"{key} = {name}")
    hub: Any = import_module("huggingface_hub")  # comes with transformers
    try:
        stored = Path(hub.snapshot_download(name, local_files_only=True))
    except (OSError, ValueError):
        stored = None
    if stored is not None and (stored / marker).is_file():
        return stored
    if not fetching.allowed:
        raise MissingError(
            f"{key} = {name} is not on this machine",
            [f"looked for a directory of this name and in {hub.constants.HF_HUB_CACHE}; nothing is downloaded unasked"],
            hint="--download fetches it, or name a directory that holds the model",
        )
    try:
        fetching.tell(f"downloading {name} from Hugging Face, {_size_of(hub, name)}")
        fetched = Path(hub.snapshot_download(name, allow_patterns=list(_PATTERNS)))
    except Exception as error:  # of a network, any exception may come
        raise MissingError(
            f"{key} = {name} is not on this machine, and cannot be fetched from Hugging Face",
            [f"{type(error).__name__}: {first_line(error)}"],
            hint=f"with a network: hf download {name}; or name a directory that holds the model",
        ) from error
    if not (fetched / marker).is_file():
        raise MissingError(f"{key} = {name} has no {marker}", [f"what was fetched lies in {fetched}"])
    return fetched


def _size_of(hub: Any, name: str) -> str:
    files = hub.HfApi().model_info(name, files_metadata=True).siblings
    patterns = [re.compile(pattern.replace(".", r"\.").replace("*", ".*")) for pattern in _PATTERNS]
    known = [file.size or 0 for file in files if any(pattern.fullmatch(file.rfilename) for pattern in patterns)]
    return f"{sum(known) / 1e9:.1f} GB"
