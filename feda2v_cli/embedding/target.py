"""Class to target: the points of the target spaces that adapters must hit.

They are codes, made by text encoders from a prompt for each class, or read from a dictionary file.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import normalize

from feda2v_cli.embedding.diffusion import open_pipeline
from feda2v_cli.embedding.hub import HUB_NAME, NOTHING_IS_FETCHED, Fetching
from feda2v_cli.embedding.target_dictionary import read_dictionary
from feda2v_cli.embedding.text import PipelineText, SentenceText, TextEncoder, encode_cached
from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.errors import UsageError
from feda2v_cli.paths import expanded, is_directory, is_there
from feda2v_cli.profile.schema import AdapterSection

CODES = "codes"
PIPELINE = "pipeline"

#: Shape of a class's target in each space: small ones for quick runs, and those of two diffusion pipelines.
SHAPES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "small": {"clip": (64,), "t5": (4, 64)},
    "flux": {"clip": (768,), "t5": (17, 4096)},
    "sd": {"clip": (77, 768)},
}

#: Codes are drawn with a seed of their own: a class has the same code in every run.
_CODES_SEED = 0


@dataclass(frozen=True)
class Targets:
    """What the adapters must hit for each class.

    Attributes:
        identity: everything that changes them, as plain JSON values.
        description: for the user: which text encoder made them and what that means.
        spaces: by target space, float32 [classes, *shape], classes in the order asked for.
    """

    identity: Mapping[str, str]
    description: str
    spaces: Mapping[str, Tensor]

    @property
    def fingerprint(self) -> str:
        """A short hash of the identity and every number."""
        digest = hashlib.sha256(json.dumps(dict(self.identity), sort_keys=True).encode())
        for name, values in sorted(self.spaces.items()):
            digest.update(name.encode() + values.contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    @property
    def layout(self) -> str:
        """How a dictionary file calls them: flux, sd or text."""
        if "text" in self.spaces:
            return "text"
        return "flux" if "t5" in self.spaces or self.spaces["clip"].dim() == 2 else "sd"

    def nearness(self) -> Tensor:
        """Cosine between any two classes, mean over the spaces, [classes, classes].

        Targets are centred at their mean, as for retrieval: text embeddings have a large part in common.
        """
        cosines = []
        for values in self.spaces.values():
            centred = values.flatten(1).double()
            centred = centred - centred.mean(0) if len(values) > 2 else centred
            directions = normalize(centred, dim=1)
            cosines.append(directions @ directions.T)
        return torch.stack(cosines).mean(0)


_CPU = torch.device("cpu")


@dataclass(frozen=True)
class TextSources:
    """Where text encoders come from.

    Attributes:
        pipeline: directory or hub name of a diffusion pipeline, for targets `pipeline`.
        cache: directory of the cache; None for none.
        device: where they compute.
        fetching: whether they may be downloaded.
    """

    pipeline: str | None = None
    cache: Path | None = None
    device: torch.device = _CPU
    fetching: Fetching = NOTHING_IS_FETCHED


def make_targets(section: AdapterSection, classes: Sequence[str], sources: TextSources | None = None) -> Targets:
    """The targets that a profile names.

    Args:
        section: text encoder, prompts, spaces and shapes.
        classes: of the federation.
        sources: where text encoders come from.

    Raises:
        UsageError: the shapes lack a space, or do not go with the text encoder; a prompt is too long.
        MissingError: the dictionary file or a class in it, a text encoder, or transformers is not there.
        FailedError: the dictionary file or the text encoder cannot be used.
    """
    if section.targets == CODES:
        return Targets(
            {"name": CODES, "shapes": section.shapes},
            "text encoder codes: a fixed random code for each class name, near-orthogonal to the others; "
            "accuracies mean something, images would not",
            {
                space: torch.stack([_code(space, name, shape) for name in classes])
                for space, shape in target_shapes(section).items()
            },
        )
    encoder = text_encoder(section, sources or TextSources())
    if encoder is None:
        dictionary = read_dictionary(section, classes)
        return Targets(
            dictionary.identity,
            f"text embeddings of {expanded(Path(section.targets), 'adapter.targets')}",
            dictionary.spaces,
        )
    return text_targets(encoder, section, classes, sources or TextSources())


def text_encoder(section: AdapterSection, sources: TextSources) -> TextEncoder | None:
    """The text encoder that a profile names; None when it names codes or a dictionary file.

    Raises:
        UsageError: it names the pipeline's, and there is no pipeline.
        MissingError: the text encoder, or transformers, is not there.
        FailedError: its configuration cannot be read.
    """
    if section.targets == PIPELINE:
        if sources.pipeline is None:
            raise UsageError(
                'adapter.targets = "pipeline" — images.pipeline is not set',
                ["targets are made by the text encoders inside the diffusion pipeline that images.pipeline names"],
                hint="--set images.pipeline=DIR",
            )
        pipeline = open_pipeline(sources.pipeline, sources.fetching)
        return PipelineText(pipeline, section.t5_tokens, sources.device)
    path = expanded(Path(section.targets), "adapter.targets")
    if is_directory(path) or (path.suffix != ".pt" and HUB_NAME.fullmatch(section.targets) and not is_there(path)):
        return SentenceText(section.targets, sources.device, sources.fetching)
    return None


def text_targets(
    encoder: TextEncoder, section: AdapterSection, classes: Sequence[str], sources: TextSources
) -> Targets:
    """Targets of classes from prompts.

    Args:
        encoder: makes them.
        section: prompts, and the spaces that are wanted.
        classes: of the federation.
        sources: says where the cache is.

    Raises:
        UsageError: the encoder has no such space, or a prompt is too long.
        FailedError: the encoder cannot be loaded.
    """
    prompts = [section.prompt_of(name) for name in classes]
    spaces = encode_cached(encoder, prompts, sources.cache)
    for space in section.spaces or ():
        if space not in spaces:
            raise UsageError(
                f"adapter.targets = {section.targets} gives no target space {space}",
                [f"it gives {', '.join(spaces)}"],
                hint=f"leave adapter.spaces out, or: --set 'adapter.spaces={json.dumps(list(spaces))}'",
            )
    own = {name: section.prompts[name] for name in classes if name in section.prompts}
    identity = dict(encoder.identity) | {"prompt": section.prompt, "prompts": json.dumps(own, sort_keys=True)}
    shown = section.prompt_of(classes[0])
    return Targets(
        identity,
        f"{encoder.description}; {shown!r}",
        {space: spaces[space] for space in section.spaces or spaces},
    )


def target_shapes(section: AdapterSection) -> dict[str, tuple[int, ...]]:
    """Shape of a class's code in each space of a profile.

    Raises:
        UsageError: the shapes lack a space.
    """
    known = SHAPES[section.shapes]
    for space in section.spaces or ():
        if space not in known:
            raise UsageError(
                f'adapter.shapes = "{section.shapes}" has no target space {space}',
                [f"it has {', '.join(known)}"],
                hint=f"--set 'adapter.spaces={json.dumps(list(known))}'",
            )
    return {space: known[space] for space in section.spaces or known}


def _code(space: str, name: str, shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=random_stream(_CODES_SEED, "code", space, name))
