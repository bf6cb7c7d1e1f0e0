"""What a diffusion pipeline says of itself on the disk: its kind, its parts, and what its denoiser takes."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from feda2v_cli.embedding.hub import Fetching, find_model, marked_by
from feda2v_cli.errors import FailedError, UsageError

PipelineKind = Literal["flux", "sd"]

_KINDS: dict[str, PipelineKind] = {"FluxPipeline": "flux", "StableDiffusionPipeline": "sd"}
#: Tokens of CLIP's text encoder where the pipeline does not say.
_CLIP_TOKENS = 77
#: Most T5 tokens that FLUX takes.
MOST_T5_TOKENS = 512


@dataclass(frozen=True)
class PipelineDirectory:
    """A pipeline as it lies on a disk.

    Attributes:
        name: as the user named it.
        path: the directory.
        kind: flux (FLUX.1) or sd (Stable Diffusion 1.x).
        index: content of `model_index.json`.
    """

    name: str
    path: Path
    kind: PipelineKind
    index: dict[str, Any]

    @property
    def short_name(self) -> str:
        """The last part of its name."""
        return self.name.rstrip("/").rpartition("/")[2]

    def has(self, part: str) -> bool:
        """Whether it has a part; `save_pretrained` writes null for those that were taken away."""
        return (self.index.get(part) or [None])[0] is not None

    def config(self, part: str) -> dict[str, Any]:
        """The configuration of a part.

        Raises:
            FailedError: it cannot be read.
        """
        return _read_json(self.path / part / "config.json")

    @property
    def denoiser(self) -> str:
        """Name of the part that paints."""
        return "transformer" if self.kind == "flux" else "unet"

    @cached_property
    def takes(self) -> dict[str, tuple[int | None, ...]]:
        """Shape of a prompt's embedding by space; None stands for any number of tokens from 2 to 512.

        Raises:
            FailedError: the denoiser's configuration does not say.
        """
        denoiser = self.config(self.denoiser)
        try:
            if self.kind == "flux":
                return {
                    "clip": (int(denoiser["pooled_projection_dim"]),),
                    "t5": (None, int(denoiser["joint_attention_dim"])),
                }
            return {"clip": (self._clip_tokens(), int(denoiser["cross_attention_dim"]))}
        except (KeyError, TypeError, ValueError) as error:
            raise FailedError(
                f"{self.path / self.denoiser / 'config.json'} does not say which prompt embeddings it takes — {error}"
            ) from error

    def check(self, space_shapes: dict[str, tuple[int, ...]], whose: str) -> None:
        """Refuse embeddings that the pipeline does not take; some of them diffusers would take in silence.

        Args:
            space_shapes: shape of an embedding by space.
            whose: where they come from, for the message.

        Raises:
            UsageError: a space is missing or too many, or of another shape.
        """
        takes = {space: _words(shape) for space, shape in self.takes.items()}
        wanted = ", ".join(f"{space} {shape}" for space, shape in takes.items())
        if set(space_shapes) != set(takes):
            raise UsageError(
                f"{self.name} ({self.kind}) takes {wanted} — {whose} have {', '.join(space_shapes)}",
                ["all of these spaces, and no other"],
                hint="train again with its own targets: --set adapter.targets=pipeline",
            )
        for space, shape in space_shapes.items():
            expected = self.takes[space]
            fits = len(shape) == len(expected) and all(
                2 <= size <= MOST_T5_TOKENS if want is None else size == want
                for size, want in zip(shape, expected, strict=True)
            )
            if not fits:
                raise UsageError(
                    f"{self.name} ({self.kind}) takes {wanted} — {whose} have {space} {list(shape)}",
                    hint="--set adapter.targets=pipeline, and train again",
                )

    def _clip_tokens(self) -> int:
        if self.has("text_encoder"):
            return int(self.config("text_encoder").get("max_position_embeddings", _CLIP_TOKENS))
        return _CLIP_TOKENS


def open_pipeline(name: str, fetching: Fetching | None = None) -> PipelineDirectory:
    """A pipeline of one of the two kinds. Reads no weights.

    Args:
        name: a directory as `save_pretrained` writes it, or `organisation/model`.
        fetching: whether it may be downloaded; by default not.

    Raises:
        MissingError: it is not there.
        UsageError: it is of another kind.
        FailedError: its index cannot be read.
    """
    path = find_model(name, "images.pipeline", marked_by("model_index.json"), fetching or Fetching())
    index = _read_json(path / "model_index.json")
    found = index.get("_class_name")
    if found not in _KINDS:
        raise UsageError(
            f"images.pipeline = {name} is a {found} — expected {' or '.join(_KINDS)}",
            ["adapters learn the prompt embeddings of FLUX.1 and of Stable Diffusion 1.x"],
        )
    return PipelineDirectory(name, path, _KINDS[found], index)


def _words(shape: tuple[int | None, ...]) -> str:
    return f"[{', '.join(f'2 to {MOST_T5_TOKENS}' if size is None else str(size) for size in shape)}]"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise FailedError(f"{path} cannot be read — {reason}") from error
    if not isinstance(content, dict):
        raise FailedError(f"{path} holds no JSON object")
    return content
