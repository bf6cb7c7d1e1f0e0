"""The nodes that take part in a run, and the embeddings of their clips."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from feda2v_cli.counted import counted
from feda2v_cli.data.clip import Clip
from feda2v_cli.data.nodes import NodeClips, notes_on
from feda2v_cli.embedding.embed import Embeddings, embed
from feda2v_cli.embedding.encoder import Encoder
from feda2v_cli.errors import FailedError, UsageError
from feda2v_cli.paths import expanded, is_directory, is_there
from feda2v_cli.profile.schema import Profile
from feda2v_cli.run.event import ClipsEmbedded, Listener, Warned


def choose_nodes(profile: Profile, node_ids: Sequence[int] | None) -> Profile:
    """The profile with those nodes alone; None keeps all.

    Raises:
        UsageError: the profile has no such node.
    """
    if node_ids is None:
        return profile
    known = [node.id for node in profile.nodes]
    for node in node_ids:
        if node not in known:
            raise UsageError(
                f"--nodes {node} — the profile has no such node",
                [f"it has {', '.join(map(str, known))}"],
                hint=f"--nodes {','.join(map(str, known))}",
            )
    return profile.with_nodes(tuple(node_ids))


def cache_directory(profile: Profile) -> Path:
    """Where the embeddings are kept between runs. Asked before work begins, which would be lost otherwise.

    Raises:
        UsageError: it is under a home directory, and there is none.
        FailedError: it is not there and cannot be made.
    """
    directory = expanded(profile.embedding.cache, "embedding.cache")
    above = next(place for place in (directory, *directory.absolute().parents) if is_there(place))
    fits = is_directory(above) and (above == directory or os.access(above, os.W_OK | os.X_OK))
    if not fits:
        reason = "Permission denied" if is_directory(above) else "Not a directory"
        raise FailedError(
            f"the embedding cache {directory} cannot be made — {above}: {reason}",
            hint="--set embedding.cache=DIR puts it elsewhere",
        )
    return directory


def embed_nodes(nodes: Sequence[NodeClips], encoder: Encoder, profile: Profile, emit: Listener) -> Embeddings:
    """Embeddings of all clips of all nodes, each clip once.

    Args:
        nodes: and their clips.
        encoder: makes the embeddings.
        profile: says where the cache is, and whether unreadable clips are left out.
        emit: is told the progress, what was left out of the data, and of clips and cache entries that were damaged.

    Raises:
        UnreadableClipError: a clip cannot be read, and the profile does not leave such clips out.
        FailedError: the cache cannot be read or written.
    """
    for note in notes_on(nodes):
        emit(Warned(note))
    return embed_clips((clip for node in nodes for clip in node.used), encoder, profile, emit)


def embed_clips(clips: Iterable[Clip], encoder: Encoder, profile: Profile, emit: Listener) -> Embeddings:
    """Embeddings of clips, each clip once.

    Args:
        clips: in any order.
        encoder: makes the embeddings.
        profile: says where the cache is, and whether unreadable clips are left out.
        emit: is told the progress, and of clips and cache entries that were damaged.

    Raises:
        UnreadableClipError: a clip cannot be read, and the profile does not leave such clips out.
        FailedError: the cache cannot be read or written.
    """
    embeddings = embed(
        list(dict.fromkeys(clips)),
        encoder,
        cache_directory(profile),
        numbers=profile.embedding.cache_dtype,
        skip_unreadable=profile.data.skip_unreadable,
        progress=lambda done, total: emit(ClipsEmbedded(done, total)),
    )
    warn_of_clips(embeddings.skipped, embeddings.damaged, emit)
    return embeddings


def embed_each_node(
    nodes: Sequence[NodeClips], encoders: Mapping[int | None, Encoder], profile: Profile, emit: Listener
) -> dict[int, Embeddings]:
    """The embeddings of each node's clips, by its id; nodes with the same encoder share them.

    Args:
        nodes: and their clips.
        encoders: of each node, by its id.
        profile: says where the cache is, and whether unreadable clips are left out.
        emit: is told what `embed_nodes` tells.

    Raises:
        UnreadableClipError: a clip cannot be read, and the profile does not leave such clips out.
        FailedError: the cache cannot be read or written.
    """
    embeddings: dict[int, Embeddings] = {}
    for encoder in dict.fromkeys(encoders[node.node_id] for node in nodes):
        own = [node for node in nodes if encoders[node.node_id] is encoder]
        embeddings |= dict.fromkeys((node.node_id for node in own), embed_nodes(own, encoder, profile, emit))
    return embeddings


def warn_of_clips(unreadable: Sequence[tuple[Clip, str]], damaged: Sequence[str], emit: Listener) -> None:
    """Warn of clips that are left out, and of cache entries that had to be computed anew."""
    for place in damaged:
        emit(Warned(f"in the embedding cache {place} was damaged and has been computed anew"))
    for clip, reason in unreadable:
        emit(Warned(f"left out {clip.name}: {reason}"))
    if unreadable:
        emit(Warned(f"left out {counted(len(unreadable), 'unreadable clip')}"))
