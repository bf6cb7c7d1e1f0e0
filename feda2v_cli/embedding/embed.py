"""Clips to embeddings: what the cache holds is read, the rest is decoded, encoded, and kept for the next run."""

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from feda2v_cli.data.clip import Clip, UnreadableClipError, hash_of
from feda2v_cli.embedding.cache import DamagedEntryError, EmbeddingCache
from feda2v_cli.embedding.decoders import Decoders, may_start_processes, waveform_of
from feda2v_cli.embedding.encoder import Encoder
from feda2v_cli.embedding.stored import StoredEmbeddings
from feda2v_cli.threads import threads_per_operation

#: Clips that are encoded at once, and decoded ahead of that: what bounds the memory.
_BATCH = 16
#: Clips that have been decoded, and clips that are left, for which it is worth to start processes that decode.
_WORTH_PROCESSES = 256


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of clips.

    Attributes:
        stored: `[clips, tokens, dim]`, where they lie in the cache.
        clips: the clips, in the order asked for, without those skipped.
        content_hashes: of what the clips contain, in the same order.
        skipped: unreadable clips, each with what is wrong with it.
        computed: how many were computed.
        cached: how many came from the cache.
        damaged: entries of the cache that were damaged; their embeddings were computed anew.
    """

    stored: StoredEmbeddings
    clips: tuple[Clip, ...]
    content_hashes: tuple[str, ...]
    skipped: tuple[tuple[Clip, str], ...]
    computed: int
    cached: int
    damaged: tuple[str, ...]

    @cached_property
    def values(self) -> Tensor:
        """All of them in memory, float32 `[clips, tokens, dim]`, on the CPU."""
        return self.stored.read()

    @property
    def contents(self) -> dict[str, str]:
        """A hash of what each clip contains, by its name."""
        return dict(zip((clip.name for clip in self.clips), self.content_hashes, strict=True))


@dataclass(frozen=True)
class _Loaded:
    """What is known of a clip: where its embedding lies, or before encoding its waveform, or why it has neither."""

    content_hash: str = ""
    row: int | None = None
    waveform: Tensor | None = None
    damaged: str | None = None
    error: UnreadableClipError | None = None


def embed(
    clips: Sequence[Clip],
    encoder: Encoder,
    cache: Path,
    *,
    numbers: str = "float32",
    skip_unreadable: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Embeddings:
    """Embeddings of clips, from the cache where it has them.

    Clips are loaded in threads, a few batches ahead of the encoder, and where they are many, in processes. A file is
    decoded only when its embedding is not in the cache. What has been computed is in the cache even when a later clip
    fails, or the run is killed.

    Args:
        clips: in the order of the result.
        encoder: what makes embeddings.
        cache: directory of the cache.
        numbers: that are kept: float32, float16 or bfloat16; embeddings are rounded to them when they are made, too.
        skip_unreadable: leave unreadable clips out instead of failing.
        progress: called with the number of clips that are done and of all.

    Raises:
        UnreadableClipError: a clip cannot be read, or its embedding is not finite, and `skip_unreadable` is not set.
        FailedError: the cache cannot be read or written.
    """
    kept = EmbeddingCache(cache, encoder, numbers)
    rows: list[int] = []
    embedded: list[Clip] = []
    hashes: list[str] = []
    skipped: list[tuple[Clip, str]] = []
    damaged: list[str] = []
    computed = done = 0
    # The threads are for the clips, so an operation gets one; both end here, whatever happens.
    with ExitStack() as stack:
        stack.enter_context(threads_per_operation(1))
        processes = stack.enter_context(ExitStack())  # ends after the threads that ask them
        loading = _Loading(kept, encoder)
        batches = stack.enter_context(closing(_load_ahead(clips, loading)))
        for batch, loaded in batches:
            for clip, item in zip(batch, _encoded(batch, loaded, encoder, kept), strict=True):
                if item.row is not None:
                    rows.append(item.row)
                    embedded.append(clip)
                    hashes.append(item.content_hash)
                    computed += item.waveform is not None
                    damaged += [item.damaged] if item.damaged else []
                elif item.error is not None and skip_unreadable:
                    skipped.append((clip, item.error.reason))
                elif item.error is not None:
                    raise item.error
            done += len(batch)
            if loading.decoders is None and computed >= _WORTH_PROCESSES <= len(clips) - done and may_start_processes():
                count = max(1, (os.cpu_count() or 1) - 1)  # one core is the encoder's
                loading.decoders = processes.enter_context(Decoders(count, encoder.sample_rate, encoder.seconds))
            if progress:
                progress(done, len(clips))
    return Embeddings(
        stored=kept.stored(rows),
        clips=tuple(embedded),
        content_hashes=tuple(hashes),
        skipped=tuple(skipped),
        computed=computed,
        cached=len(embedded) - computed,
        damaged=tuple(damaged),
    )


def _encoded(
    clips: Sequence[Clip], loaded: Sequence[_Loaded], encoder: Encoder, cache: EmbeddingCache
) -> list[_Loaded]:
    """The same clips with the embeddings that had to be computed; those are in the cache then."""
    waveforms = [item.waveform for item in loaded if item.waveform is not None]
    made = iter(encoder.encode(torch.stack(waveforms)).numpy() if waveforms else ())
    encoded = []
    for clip, item in zip(clips, loaded, strict=True):
        if item.waveform is None:
            encoded.append(item)
            continue
        embedding = next(made)
        if cache.holds(embedding):
            encoded.append(replace(item, row=cache.write(item.content_hash, embedding)))
        else:
            problem = f"{encoder.name} makes an embedding of it that holds NaN or infinite values"
            if np.isfinite(embedding).all():
                problem = f"{encoder.name} makes an embedding of it that is too large for float16"
            encoded.append(replace(item, error=UnreadableClipError(clip.name, problem)))
    return encoded


def _load_ahead(
    clips: Sequence[Clip], loading: "_Loading"
) -> Generator[tuple[Sequence[Clip], list[_Loaded]], None, None]:
    """Batches of clips, loaded in threads while the batch before is encoded."""
    waiting: deque[tuple[Sequence[Clip], list[Future[_Loaded]]]] = deque()
    pool = ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="load-clips")
    try:
        for start in range(0, len(clips), _BATCH):
            batch = clips[start : start + _BATCH]
            waiting.append((batch, [pool.submit(loading.load, clip) for clip in batch]))
            if len(waiting) > 1:
                ready, futures = waiting.popleft()
                yield ready, [future.result() for future in futures]
        for ready, futures in waiting:
            yield ready, [future.result() for future in futures]
    finally:
        pool.shutdown(cancel_futures=True)


class _Loading:
    """How clips are loaded.

    Args:
        cache: is asked first.
        encoder: says which waveforms it takes.

    Attributes:
        decoders: processes that decode; None while the threads that load do.
    """

    def __init__(self, cache: EmbeddingCache, encoder: Encoder) -> None:
        self._cache = cache
        self._encoder = encoder
        self.decoders: Decoders | None = None

    def load(self, clip: Clip) -> _Loaded:
        """What is known of a clip, in one of several threads."""
        damaged = None
        try:
            content = clip.content()
            content_hash = hash_of(content)
            try:
                row = self._cache.find(content_hash)
            except DamagedEntryError as error:
                row, damaged = None, str(error)
            if row is not None:
                return _Loaded(content_hash, row=row)
            waveform = (
                waveform_of(clip, content, self._encoder.sample_rate, self._encoder.seconds)
                if self.decoders is None
                else self.decoders.waveform(clip)
            )
        except UnreadableClipError as error:
            return _Loaded(error=error)
        return _Loaded(content_hash, waveform=waveform, damaged=damaged)
