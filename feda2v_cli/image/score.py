"""Whether pictures show the class that was heard, as a CLIP model sees it that did not make them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.image.clip_model import ClipModel

if TYPE_CHECKING:
    from PIL.Image import Image

PROMPT = "a photo of a {class}"
#: Pairings of pictures and classes over which the floor is a mean.
_SHUFFLES = 100


@dataclass(frozen=True)
class Score:
    """Zero-shot classification of pictures by CLIP.

    Attributes:
        pictures: how many.
        accuracy: share that CLIP gives the right class among all.
        balanced_accuracy: mean over the classes of that share.
        macro_f1: mean over the classes of F1.
        clip_score: 100 times the mean cosine to the text of the own class (Hessel et al., CLIPScore, 2021, unscaled).
    """

    pictures: int
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    clip_score: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def similarity(clip: ClipModel, images: "Sequence[Image]", classes: Sequence[str]) -> Tensor:
    """Cosine between pictures and the text of each class, [pictures, classes]."""
    texts = torch.stack([clip.of_text(PROMPT.replace("{class}", name.replace("_", " "))) for name in classes])
    return torch.stack([clip.of_image(image) for image in images]) @ texts.T


def score(cosines: Tensor, labels: Sequence[int]) -> Score:
    """How well pictures show their classes.

    Args:
        cosines: [pictures, classes].
        labels: index of each picture's class.
    """
    truth = torch.tensor(labels)
    seen = cosines.argmax(1)
    recalls, f1s = [], []
    for label in sorted(set(labels)):
        hits = int(((seen == label) & (truth == label)).sum())
        there, called = int((truth == label).sum()), int((seen == label).sum())
        recalls.append(hits / there)
        f1s.append(2 * hits / (there + called))
    own = cosines.gather(1, truth[:, None]).mean()
    return Score(
        pictures=len(labels),
        accuracy=float((seen == truth).double().mean()),
        balanced_accuracy=sum(recalls) / len(recalls),
        macro_f1=sum(f1s) / len(f1s),
        clip_score=100 * float(own),
    )


def shuffled(cosines: Tensor, labels: Sequence[int], seed: int) -> Score:
    """The floor: the mean over pairings of the same pictures with each other's classes."""
    random = random_stream(seed, "shuffled pictures")
    scores = [
        score(cosines, [labels[place] for place in torch.randperm(len(labels), generator=random).tolist()])
        for _ in range(_SHUFFLES)
    ]
    names = ("accuracy", "balanced_accuracy", "macro_f1", "clip_score")
    means = {name: sum(getattr(one, name) for one in scores) / _SHUFFLES for name in names}
    return Score(pictures=len(labels), **means)
