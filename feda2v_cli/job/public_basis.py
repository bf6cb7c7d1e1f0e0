"""The public basis of a run: of clips that may be known to all, with the run's encoder."""

from collections import Counter
from collections.abc import Collection

import torch

from feda2v_cli.counted import counted
from feda2v_cli.data.builtin import BuiltinClip
from feda2v_cli.data.clip import Clip
from feda2v_cli.data.dataset import open_dataset
from feda2v_cli.data.sounds import SOUNDS
from feda2v_cli.embedding.embed import Embeddings, embed
from feda2v_cli.embedding.encoder import Encoder
from feda2v_cli.errors import FailedError, MissingError
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
        FailedError: it has fewer than two classes of two clips, they span nothing, or one cannot be read.
    """
    section = profile.generator
    embeddings = _embedded(profile, encoder)
    names = sorted({clip.class_name for clip in embeddings.clips})
    labels = torch.tensor([names.index(clip.class_name) for clip in embeddings.clips])
    try:
        return PublicBasis.of(embeddings.values, labels, rank)
    except ValueError as error:
        raise FailedError(f"the public clips of {section.public_root} span no basis — {error}") from error


def refuse_private_clips(profile: Profile, encoder: Encoder, private: Collection[str]) -> None:
    """Refuse clips that train as public ones: a file tells exactly what its public basis was made of.

    Args:
        profile: of the run.
        encoder: of a node.
        private: hashes of the contents of clips that train.

    Raises:
        FailedError: a public clip trains.
    """
    embeddings = _embedded(profile, encoder)
    contents = zip(embeddings.clips, embeddings.content_hashes, strict=True)
    both = [clip for clip, content in contents if content in private]
    if both:
        raise FailedError(
            f"{len(both)} of the {len(embeddings.clips)} public clips train, too: {both[0].name}",
            [f"of {profile.generator.public_root}: what a public basis is made of, it tells"],
            hint="name a directory of other clips, or leave generator.public_root out: built-in sounds are public",
        )


def _embedded(profile: Profile, encoder: Encoder) -> Embeddings:
    return embed(public_clips(profile), encoder, cache_directory(profile), numbers=profile.embedding.cache_dtype)


def public_clips(profile: Profile) -> list[Clip]:
    """The clips that a public basis is made of; no audio is read.

    Raises:
        MissingError: the data set is not there.
        FailedError: it has fewer than two classes of two clips.
    """
    root = profile.generator.public_root
    if root is None:
        takes = range(FIRST_TAKE, FIRST_TAKE + PUBLIC_SOUNDS)
        return [BuiltinClip(f"{name}-{take}.wav", name, 0, take=take) for name in SOUNDS for take in takes]
    try:
        clips = list(open_dataset("auto", root, key="generator.public_root").clips)
    except MissingError as error:
        hint = "--set generator.public_root=DIR takes a data set; without it built-in sounds are public"
        raise MissingError(error.title, error.details, hint=hint) from error
    counts = Counter(clip.class_name for clip in clips)
    if len(counts) < _FEWEST or min(counts.values()) < _FEWEST:
        raise FailedError(
            f"the public clips of {root} are {counted(len(clips), 'clip')} of {counted(len(counts), 'class')}",
            ["expected two classes at least, and two clips of each"],
            hint="leave generator.public_root out: built-in sounds are public",
        )
    return clips
