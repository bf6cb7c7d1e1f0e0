"""Who makes the pictures of a profile: a pipeline that paints, or a gallery in which they are found."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from feda2v_cli.embedding.diffusion import PipelineDirectory, open_pipeline
from feda2v_cli.embedding.target import CODES, TextSources, text_encoder
from feda2v_cli.embedding.text import PipelineText, encode_cached
from feda2v_cli.errors import UsageError
from feda2v_cli.image.gallery import open_gallery
from feda2v_cli.image.painter import Painter, diffusers_for
from feda2v_cli.image.picture import PictureMaker, pillow
from feda2v_cli.paths import expanded
from feda2v_cli.profile.schema import AdapterSection, ImagesSection


@dataclass(frozen=True)
class MakerPlan:
    """A maker of pictures before its weights are loaded.

    Attributes:
        images: of the profile.
        adapter: of the profile: text encoder and prompts.
        sources: where text encoders come from.
        device: where a pipeline computes.
        pipeline: that paints; None when a gallery is searched.
    """

    images: ImagesSection
    adapter: AdapterSection
    sources: TextSources
    device: torch.device
    pipeline: PipelineDirectory | None

    def check(self, shapes: Mapping[str, tuple[int, ...]], whose: str) -> None:
        """Refuse adapters whose spaces the pipeline does not take; a gallery is asked when it is loaded.

        Raises:
            UsageError: they do not go together.
        """
        if self.pipeline is not None:
            self.pipeline.check(dict(shapes), whose)

    def load(self) -> PictureMaker:
        """The maker, with its weights.

        Text encoders that it needs are gone before a pipeline is loaded: memory holds one of them at a time.

        Raises:
            MissingError: a package, the model or the gallery is not there.
            UsageError: the gallery has no text encoder, or the size does not go with the pipeline.
            FailedError: it cannot be loaded, or the GPU is too small.
        """
        if self.pipeline is not None:
            return Painter(self.pipeline, self.images, self.device, self._unconditional(self.pipeline))
        assert self.images.gallery is not None  # see plan_maker
        encoder = text_encoder(self.adapter, self.sources)
        if encoder is None:
            raise UsageError(
                f"the captions of a gallery need the text encoder of the targets, and adapter.targets is "
                f"{self.adapter.targets}",
                # Codes are no text encoder's: no option makes such adapters comparable with captions.
                hint="feda2v federate --set adapter.targets=DIR trains adapters on what the text encoder in DIR makes"
                if self.adapter.targets == CODES
                else "--targets DIR names the encoder that the adapters were trained with",
            )
        directory = expanded(self.images.gallery, "images.gallery")
        return open_gallery(directory, self.adapter, encoder, self.sources.cache, self.images.size)

    def _unconditional(self, pipeline: PipelineDirectory) -> dict[str, Tensor] | None:
        """Embedding of the empty prompt (Stable Diffusion); None where the pipeline has no text encoder left."""
        guided = self.images.guidance is None or self.images.guidance > 1
        if pipeline.kind != "sd" or not pipeline.has("text_encoder") or not guided:
            return None
        encoder = PipelineText(pipeline, self.adapter.t5_tokens, self.sources.device)
        return {space: values[0] for space, values in encode_cached(encoder, [""], self.sources.cache).items()}


def plan_maker(images: ImagesSection, adapter: AdapterSection, sources: TextSources, device: torch.device) -> MakerPlan:
    """Who makes the pictures that a profile asks for. Reads no weights.

    Args:
        images: pipeline or gallery; a gallery beats a pipeline.
        adapter: text encoder and prompts.
        sources: where text encoders come from.
        device: where a pipeline computes.

    Raises:
        UsageError: neither is named, or the pipeline is of another kind.
        MissingError: a package, the pipeline or the gallery is not there.
        FailedError: the pipeline's index cannot be read.
    """
    pillow()
    if images.gallery is not None:
        return MakerPlan(images, adapter, sources, device, None)
    if images.pipeline is None:
        raise UsageError(
            "pictures need a pipeline that paints them, or a gallery in which they are found",
            ["images.pipeline and images.gallery are not set"],
            hint="--pipeline DIR (FLUX.1 or Stable Diffusion 1.x of diffusers), or --gallery DIR",
        )
    pipeline = open_pipeline(images.pipeline, sources.fetching)
    diffusers_for(images.pipeline)
    return MakerPlan(images, adapter, sources, device, pipeline)
