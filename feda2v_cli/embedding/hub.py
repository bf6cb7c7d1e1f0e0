"""Finding pre-trained models: in a directory, in the local store of Hugging Face, or on its hub.

Neither PyTorch nor transformers is imported to find one: the verifier asks too.
"""

import re
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from feda2v_cli.errors import MissingError, closest, first_line

#: `organisation/model` on the hub of Hugging Face.
HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w.-]+")
#: What a model is made of; pictures, notebooks and weights of other frameworks are left where they are.
_PATTERNS = ("*.json", "*.txt", "*.model", "*.safetensors")
#: Weights of models that have no others.
_OLDER_WEIGHTS = ("pytorch_model*.bin",)


def ignore_text(text: str) -> None:
    """The listener of those who do not want to know."""


@dataclass(frozen=True)
class Fetching:
    """Whether what is not on this machine may be downloaded.

    Attributes:
        allowed: whether the user has asked for it.
        tell: is told what is fetched and how large it is, before it is fetched.
        hint: what a user does about a model that is not fetched.
    """

    allowed: bool = False
    tell: Callable[[str], None] = ignore_text
    hint: str = "--download fetches it, or name a directory that holds the model"


NOTHING_IS_FETCHED = Fetching()

#: Names of the files that a directory lacks to be a model.
Lacking = Callable[[Path], list[str]]


def marked_by(marker: str) -> Lacking:
    """What a directory lacks in which nothing but one file is needed to tell that it holds a model."""
    return lambda directory: [] if (directory / marker).is_file() else [marker]


def find_model(name_or_path: str, key: str, lacking: Lacking, fetching: Fetching) -> Path:
    """The directory of a model. What is on this machine is used without the network.

    Args:
        name_or_path: a directory, or `organisation/model`.
        key: of the profile, for messages.
        lacking: what a directory lacks to be such a model.
        fetching: whether it may be downloaded.

    Raises:
        MissingError: it is not there, or not complete.
    """
    directory = _directory_at(name_or_path, key)
    if directory is not None:
        return _checked(directory, f"{key} = {name_or_path}", lacking)
    hub = _hub(f"{key} = {name_or_path}")
    try:
        stored = Path(hub.snapshot_download(name_or_path, local_files_only=True))
        if not lacking(stored):
            return stored
    except (OSError, ValueError):
        pass
    if not fetching.allowed:
        raise MissingError(
            f"{key} = {name_or_path} is not on this machine",
            [f"looked for a directory of this name and in {hub.constants.HF_HUB_CACHE}; nothing is downloaded unasked"],
            hint=fetching.hint,
        )
    return _checked(_fetched(hub, name_or_path, key, lacking, fetching), f"{key} = {name_or_path}", lacking)


def transformers_for(purpose: str) -> Any:
    """The package transformers.

    Args:
        purpose: what needs it, like `adapter.targets = NAME`.

    Raises:
        MissingError: it is not installed.
    """
    transformers = _package("transformers", purpose)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    return transformers


def _package(name: str, purpose: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingError(
            f"{purpose} needs transformers, which is not installed", hint="pip install 'feda2v[hf]'"
        ) from error


def _hub(purpose: str) -> Any:
    """The package that knows the hub and its store. It comes with transformers, and imports no PyTorch."""
    hub = _package("huggingface_hub", purpose)
    if not sys.stderr.isatty():
        import_module("huggingface_hub.utils").disable_progress_bars()
    return hub


def _directory_at(name_or_path: str, key: str) -> Path | None:
    """The directory that a path means; None when it is none and may be the name of a model on the hub.

    Raises:
        MissingError: it can only be a path, and leads nowhere.
    """
    path = Path(name_or_path)
    try:
        path = path.expanduser()
        if stat.S_ISDIR(path.stat().st_mode):
            return path
        problem = "that is no directory"
    except FileNotFoundError:
        problem = "no such directory"
    except OSError as error:
        problem = error.strerror or type(error).__name__
    except (RuntimeError, ValueError) as error:  # of `~nobody`, and of a null byte
        problem = first_line(error)
    if HUB_NAME.fullmatch(name_or_path):
        return None
    raise MissingError(f"{key} = {name_or_path} — {problem}", _siblings_like(path))


def _siblings_like(path: Path) -> list[str]:
    try:
        near = closest(path.name, [entry.name for entry in path.parent.iterdir() if entry.is_dir()])
    except (OSError, ValueError):
        return []
    return [f"did you mean {path.parent / near}?"] if near else []


def _checked(directory: Path, called: str, lacking: Lacking) -> Path:
    missing = lacking(directory)
    if missing:
        raise MissingError(
            f"{called} is not complete — it lacks {', '.join(missing)}",
            [f"looked in {directory}", "expected a directory as save_pretrained writes it"],
        )
    return directory


def _fetched(hub: Any, name: str, key: str, lacking: Lacking, fetching: Fetching) -> Path:
    """A model from the hub, which is then in the local store."""
    try:
        fetching.tell(f"downloading {name} from Hugging Face, {_size_of(hub, name)}")
        fetched = Path(hub.snapshot_download(name, allow_patterns=list(_PATTERNS)))
        if lacking(fetched):
            fetched = Path(hub.snapshot_download(name, allow_patterns=[*_PATTERNS, *_OLDER_WEIGHTS]))
    except Exception as error:  # of a network, any exception may come
        raise MissingError(
            f"{key} = {name} is not on this machine, and cannot be fetched from Hugging Face",
            [f"{type(error).__name__}: {first_line(error)}"],
            hint=f"with a network: hf download {name}; or name a directory that holds the model",
        ) from error
    return fetched


def _size_of(hub: Any, name: str) -> str:
    files = hub.HfApi().model_info(name, files_metadata=True).siblings
    patterns = [re.compile(pattern.replace(".", r"\.").replace("*", ".*")) for pattern in _PATTERNS]
    known = [file.size or 0 for file in files if any(pattern.fullmatch(file.rfilename) for pattern in patterns)]
    return f"{sum(known) / 1e9:.1f} GB"
