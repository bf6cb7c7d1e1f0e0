"""CLIP: texts and pictures in one space (Radford et al., Learning Transferable Visual Models, 2021)."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import normalize

from feda2v_cli.embedding.hub import Fetching, find_model, marked_by, transformers_for
from feda2v_cli.embedding.text import joint_features
from feda2v_cli.errors import FailedError, UsageError, first_line

if TYPE_CHECKING:
    from PIL.Image import Image


class ClipModel:
    """Both encoders of a CLIP model, loaded.

    Args:
        path: its directory.

    Raises:
        MissingError: transformers is not installed.
        UsageError: the directory holds another model.
        FailedError: it cannot be loaded.
    """

    def __init__(self, path: Path) -> None:
        transformers = transformers_for(f"the CLIP model {path}")
        try:
            config = transformers.AutoConfig.from_pretrained(path, local_files_only=True)
            if config.model_type != "clip":
                raise UsageError(
                    f"{path} holds a model of type {config.model_type} — expected CLIP, with both of its encoders"
                )
            self._model = transformers.CLIPModel.from_pretrained(path, local_files_only=True, dtype=torch.float32)
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
            self._processor = transformers.AutoImageProcessor.from_pretrained(path, local_files_only=True)
        except UsageError:
            raise
        except Exception as error:  # transformers raises whatever its parts raise on a broken file
            raise FailedError(f"{path} cannot be loaded as a CLIP model — {first_line(error)}") from error
        self._model.eval()

    @torch.inference_mode()
    def of_text(self, text: str) -> Tensor:
        """A text at unit length, [dim]."""
        inputs = self._tokenizer(text, truncation=True, return_tensors="pt")
        return normalize(joint_features(self._model.get_text_features(**inputs))[0], dim=0).clone()

    @torch.inference_mode()
    def of_image(self, image: "Image") -> Tensor:
        """A picture at unit length, [dim]."""
        inputs = self._processor(images=image, return_tensors="pt")
        return normalize(joint_features(self._model.get_image_features(**inputs))[0], dim=0).clone()


def find_clip(name: str, fetching: Fetching | None = None) -> Path:
    """The directory of a CLIP model.

    Args:
        name: a directory, or `organisation/model`.
        fetching: whether it may be downloaded.

    Raises:
        MissingError: it is not there.
    """
    return find_model(name, "--score", marked_by("config.json"), fetching or Fetching())
