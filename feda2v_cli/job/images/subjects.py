"""Of which clips pictures are made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from feda2v_cli.data.clip import Clip, FileClip
from feda2v_cli.data.nodes import NodeClips
from feda2v_cli.embedding.encoder import Encoder
from feda2v_cli.errors import MissingError, UsageError, closest
from feda2v_cli.federation.standardise import Standardisation
from feda2v_cli.federation.strategy.strategy import Owner
from feda2v_cli.job.nodes import embed_clips
from feda2v_cli.paths import entries, is_directory, is_file
from feda2v_cli.profile.schema import Profile
from feda2v_cli.run.event import Listener

#: What a clip of the user's own is filed under, whose class nobody knows.
UNKNOWN = "audio"


@dataclass(frozen=True)
class Subject:
    """A clip that pictures are made of.

    Attributes:
        clip: the sound.
        class_name: its class; None for a file of the user's own.
        split: train, test, or audio for a file of the user's own.
        number: place among the clips of its class and split, from 0.
        holders: nodes that hold it.
        embeddings: as its holders embed it, [tokens, dim] by their ids; of a file of the user's own as every node does,
            and as the profile says, by None.
    """

    clip: Clip
    class_name: str | None
    split: str
    number: int
    holders: tuple[int, ...]
    embeddings: Mapping[Owner, Tensor]

    def embedding_for(self, owner: Owner) -> Tensor:
        """As a node embeds it; for the server as the first of its holders does, [tokens, dim]."""
        return self.embeddings[self.holders[0] if owner is None and self.holders else owner]


def choose_clips(
    nodes: Sequence[NodeClips], profile: Profile, classes: Sequence[str]
) -> list[tuple[Clip, str, int, tuple[int, ...]]]:
    """The first clips of each class, of the splits that are asked for: clip, split, number, and who holds it.

    Every node's own first clips are among them when nodes make pictures too.

    Args:
        nodes: and their clips.
        profile: splits, how many of a class, and whether nodes make pictures of their own.
        classes: that are asked for.
    """
    chosen: list[tuple[Clip, str, int, tuple[int, ...]]] = []
    for split in profile.images.splits:
        for name in classes:
            holders: dict[Clip, list[int]] = {}
            wanted: list[Clip] = []
            for node in nodes:
                own = [clip for clip in node.part(split) if clip.class_name == name]
                for clip in own:
                    holders.setdefault(clip, []).append(node.node_id)
                wanted += own[: profile.images.per_class] if profile.images.nodes else []
            first = sorted(holders, key=lambda clip: (clip.fold, clip.name))[: profile.images.per_class]
            every = list(dict.fromkeys([*first, *wanted] if profile.images.server else [*wanted, *first]))
            chosen += [(clip, split, number, tuple(holders[clip])) for number, clip in enumerate(every)]
    return chosen


def lacking(chosen: Sequence[tuple[Clip, str, int, tuple[int, ...]]], classes: Sequence[str]) -> list[str]:
    """The classes of which there is no clip."""
    there = {clip.class_name for clip, *_ in chosen}
    return [name for name in classes if name not in there]


def check_classes(classes: Sequence[str], known: Sequence[str]) -> None:
    """Refuse classes that are not of the federation.

    Raises:
        UsageError: there is one.
    """
    for name in classes:
        if name not in known:
            near = closest(name, known)
            raise UsageError(
                f"--classes {name} — the data has no such class",
                [f"did you mean {near}?"] if near else [f"it has {', '.join(known)}"],
                hint=f"--classes {near or ','.join(known[:2])}",
            )


def embed_subjects(
    chosen: Sequence[tuple[Clip, str, int, tuple[int, ...]]],
    encoders: Mapping[Owner, Encoder],
    profile: Profile,
    emit: Listener,
) -> list[Subject]:
    """The clips with their embeddings.

    Args:
        chosen: clip, split, number and holders.
        encoders: of each node by its id, and of the profile by None.
        profile: says where the cache is, and whether unreadable clips are left out.
        emit: is told the progress, and of clips that are left out.

    Raises:
        UnreadableClipError: a clip cannot be read, and the profile does not leave such clips out.
        FailedError: the cache cannot be read or written.
        MissingError: no clip is left.
    """
    values: dict[tuple[Encoder, Clip], Tensor] = {}
    for encoder in dict.fromkeys(encoders.values()):
        own = [clip for clip, *_, holders in chosen if encoder in {encoders[of] for of in holders or encoders}]
        if not own:
            continue
        done = embed_clips(own, encoder, profile, emit)
        values |= {(encoder, clip): value for clip, value in zip(done.clips, done.values, strict=True)}
    subjects = []
    for clip, split, number, holders in chosen:
        class_name = None if split == UNKNOWN else clip.class_name
        there = {of: values.get((encoders[of], clip)) for of in holders or encoders}
        embeddings = {of: value for of, value in there.items() if value is not None}
        if embeddings:  # what cannot be read cannot be read by any
            subjects.append(Subject(clip, class_name, split, number, holders, embeddings))
    if not subjects:
        raise MissingError("no clip is left of which a picture could be made")
    return subjects


def clips_of_files(files: Sequence[Path]) -> list[tuple[Clip, str, int, tuple[int, ...]]]:
    """Files of the user's own as clips without a class.

    Raises:
        MissingError: a file is not there.
    """
    for path in files:
        if not is_file(path):
            siblings = [entry.name for entry in entries(path.parent)] if is_directory(path.parent) else []
            near = closest(path.name, siblings)
            raise MissingError(
                f"--audio {path} — no such file", [f"did you mean {path.parent / near}?"] if near else []
            )
    return [
        (FileClip(name=path.name, class_name=UNKNOWN, fold=1, path=path), UNKNOWN, number, ())
        for number, path in enumerate(dict.fromkeys(files))
    ]


def standardised(subjects: Sequence[Subject], owner: Owner, standardisation: Standardisation) -> list[Tensor]:
    """Embeddings of subjects for the adapters of an owner, [tokens, dim] each."""
    return [standardisation(subject.embedding_for(owner)) for subject in subjects]
