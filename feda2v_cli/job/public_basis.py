"""The public basis of a run: of clips that may be known to all, with the run's encoder."""

import torch

from feda2v_cli.data.builtin import BuiltinClip
from feda2v_cli.data.clip import Clip
from feda2v_cli.data.dataset import open_dataset
from feda2v_cli.data.sounds import SOUNDS
from feda2v_cli.embedding.embed import embed
from feda2v_cli.embedding.encoder import Encoder
from feda2v_cli.errors import FailedError
from feda2v_cli.generator.training_set import LARGEST_PUBLIC_RANK
from feda2v_cli.job.nodes import cache_directory
from feda2v_cli.privacy.release import PublicBasis
from feda2v_cli.profile.schema import Profile

#: Built-in sounds of a class, from a take on that no fold holds: every machine makes the same.
PUBLIC_SOUNDS = 40
FIRST_TAKE = 100_000
_FEWEST = 2


def coordinates_of(profile: Profile) -> int:
    """How many coordinates a public basis has, unless its clips span fewer."""
    return LARGEST_PUBLIC_RANK if profile.generator.rank == "auto" else profile.generator.rank


def public_basis(profile: Profile, encoder: Encoder, rank: int) -> PublicBasis:
    """The basis of the clips of `generator.public_root`, or of built-in sounds.

    Args:
        profile: of the run.
        encoder: of the node.
        rank: coordinates.

    Raises:
        MissingError: the data set is not there.
        FailedError: it has fewer than two classes of two clips, or a clip cannot be read.
    """
    section = profile.generator
    clips = _public_clips(profile)
    embeddings = embed(clips, encoder, cache_directory(profile), numbers=profile.embedding.cache_dtype)
    names = sorted({clip.class_name for clip in embeddings.clips})
    labels = torch.tensor([names.index(clip.class_name) for clip in embeddings.clips])
    if len(names) < _FEWEST or int(torch.bincount(labels).min()) < _FEWEST:
        raise FailedError(
            f"the public clips of {section.public_root} are {len(embeddings.clips)} of {len(names)} classes",
            ["expected two classes at least, and two clips of each"],
            hint="leave generator.public_root out: built-in sounds are public",
        )
    try:
        return PublicBasis.of(embeddings.values, labels, rank)
    except ValueError as error:
        raise FailedError(f"the public clips of {section.public_root} span no basis — {error}") from error


def _public_clips(profile: Profile) -> list[Clip]:
    root = profile.generator.public_root
    if root is not None:
        return list(open_dataset("auto", root).clips)
    takes = range(FIRST_TAKE, FIRST_TAKE + PUBLIC_SOUNDS)
    return [BuiltinClip(f"{name}-{take}.wav", name, 0, take=take) for name in SOUNDS for take in takes]
