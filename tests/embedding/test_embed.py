import os
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from patience import SECONDS

from feda2v_cli.data.builtin import BuiltinClip
from feda2v_cli.data.clip import FileClip, UnreadableClipError, Waveform
from feda2v_cli.embedding.cache import EmbeddingCache
from feda2v_cli.embedding.embed import embed
from feda2v_cli.embedding.melstats import MelStats
from feda2v_cli.errors import FailedError

Clips = tuple[BuiltinClip, ...]


@dataclass(frozen=True)
class DeafClip(BuiltinClip):
    """A built-in clip that must not be decoded."""

    def decode(self, content: bytes) -> Waveform:  # noqa: ARG002
        raise AssertionError(f"{self.name} was decoded")


def deaf(clip: BuiltinClip) -> DeafClip:
    return DeafClip(clip.name, clip.class_name, clip.fold, take=clip.take)


def file_clip(path: Path, sample_rate: int = 16_000, frequency: float = 440.0) -> FileClip:
    tone = np.sin(2 * np.pi * frequency * np.arange(sample_rate // 2) / sample_rate)
    soundfile.write(path, tone, sample_rate)
    return FileClip(path.name, "dog", 1, path=path)


def broken_clip(path: Path) -> FileClip:
    path.write_bytes(b"broken")
    return FileClip(path.name, "dog", 1, path=path)


def test_embeddings_are_in_the_order_asked_for(clips: Clips, encoder: MelStats, cache: Path) -> None:
    forwards = embed(clips, encoder, cache)
    backwards = embed(clips[::-1], encoder, cache)

    assert forwards.clips == clips
    assert forwards.values.shape == (len(clips), 4, 768)
    assert torch.equal(forwards.values, backwards.values.flip(0))


def test_an_embedding_has_the_same_bits_alone_in_a_batch_and_from_the_cache(
    clips: Clips, encoder: MelStats, tmp_path: Path
) -> None:
    batched = embed(clips, encoder, tmp_path / "one").values
    cached = embed(clips, encoder, tmp_path / "one").values
    alone = torch.cat([embed([clip], encoder, tmp_path / "two").values for clip in clips])

    assert torch.equal(batched, cached)
    assert torch.equal(batched, alone)


def test_nothing_is_decoded_whose_embedding_is_cached(clips: Clips, encoder: MelStats, cache: Path) -> None:
    first = embed(clips, encoder, cache)
    second = embed([deaf(clip) for clip in clips], encoder, cache)

    assert (first.computed, first.cached) == (len(clips), 0)
    assert (second.computed, second.cached) == (0, len(clips))


def test_partial_hits_are_used(clips: Clips, encoder: MelStats, cache: Path) -> None:
    embed(clips[:10], encoder, cache)

    embeddings = embed([*map(deaf, clips[:10]), *clips[10:]], encoder, cache)

    assert (embeddings.computed, embeddings.cached) == (len(clips) - 10, 10)


def test_a_renamed_file_is_found_by_its_content(tmp_path: Path, encoder: MelStats, cache: Path) -> None:
    before = file_clip(tmp_path / "before.wav")
    embed([before], encoder, cache)
    after = FileClip("after.wav", "cow", 2, path=before.path.rename(tmp_path / "after.wav"))

    assert embed([after], encoder, cache).cached == 1


def test_another_encoder_has_entries_of_its_own(clips: Clips, encoder: MelStats, cache: Path) -> None:
    embed(clips[:2], encoder, cache)

    other = embed(clips[:2], MelStats(2, 16_000, 5.0, torch.device("cpu")), cache)

    assert (other.computed, other.values.shape) == (2, (2, 2, 768))


def test_files_of_many_rates_go_in_one_call(tmp_path: Path, encoder: MelStats, cache: Path) -> None:
    rates = (8_000, 22_050, 44_100, 48_000, 192_000)

    embeddings = embed([file_clip(tmp_path / f"{rate}.wav", rate) for rate in rates], encoder, cache)

    assert embeddings.computed == len(rates)
    assert embeddings.values.isfinite().all()


def test_an_unreadable_clip_is_an_error_that_names_it(tmp_path: Path, encoder: MelStats, cache: Path) -> None:
    with pytest.raises(UnreadableClipError, match=r"broken\.wav cannot be used"):
        embed([file_clip(tmp_path / "a.wav"), broken_clip(tmp_path / "broken.wav")], encoder, cache)


def test_unreadable_clips_can_be_left_out_and_are_listed(tmp_path: Path, encoder: MelStats, cache: Path) -> None:
    good = [file_clip(tmp_path / f"{pitch}.wav", frequency=pitch) for pitch in (200, 400, 800)]
    broken = [broken_clip(tmp_path / f"broken{number}.wav") for number in range(2)]

    embeddings = embed([good[0], broken[0], good[1], broken[1], good[2]], encoder, cache, skip_unreadable=True)

    assert embeddings.clips == tuple(good)
    assert torch.equal(embeddings.values, embed(good, encoder, cache).values)
    assert [clip for clip, _ in embeddings.skipped] == broken
    assert "no audio" in embeddings.skipped[0][1]


def test_nothing_but_unreadable_clips_gives_no_embeddings(tmp_path: Path, encoder: MelStats, cache: Path) -> None:
    embeddings = embed([broken_clip(tmp_path / "broken.wav")], encoder, cache, skip_unreadable=True)

    assert (embeddings.clips, embeddings.values.shape) == ((), (0, 4, 768))


def test_no_clips_give_no_embeddings(encoder: MelStats, cache: Path) -> None:
    assert embed([], encoder, cache).values.shape == (0, 4, 768)


def test_what_was_computed_before_an_error_is_kept(
    clips: Clips, tmp_path: Path, encoder: MelStats, cache: Path
) -> None:
    with pytest.raises(UnreadableClipError):
        embed([*clips, broken_clip(tmp_path / "broken.wav")], encoder, cache)

    assert embed(clips, encoder, cache).cached >= 16


#: Embeds clips until some are done, and is killed.
KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from feda2v_cli.data.builtin import builtin_clips
from feda2v_cli.embedding.embed import embed
from feda2v_cli.embedding.melstats import MelStats
encoder = MelStats(4, 16000, 5.0, torch.device("cpu"))
kill = lambda done, total: os.kill(os.getpid(), signal.SIGKILL)
embed(builtin_clips()[::20], encoder, Path(sys.argv[1]), progress=kill)
"""


def test_what_was_computed_before_a_kill_is_not_computed_again(clips: Clips, encoder: MelStats, cache: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(cache)], timeout=SECONDS)

    assert killed.returncode == -signal.SIGKILL
    rest = embed([*map(deaf, clips[:16]), *clips[16:]], encoder, cache)
    assert (rest.cached, rest.computed, rest.damaged) == (16, len(clips) - 16, ())


def test_a_changed_entry_is_computed_anew_and_reported(clips: Clips, encoder: MelStats, cache: Path) -> None:
    whole = embed(clips[:3], encoder, cache)
    path = EmbeddingCache(cache, encoder).path
    content = bytearray(path.read_bytes())
    content[len(content) // 3 + 1_000] ^= 1
    path.write_bytes(content)

    repaired = embed(clips[:3], encoder, cache)

    assert (repaired.damaged, repaired.computed) == ((f"{path}, entry 1",), 1)
    assert torch.equal(repaired.values, whole.values)
    assert embed(clips[:3], encoder, cache).damaged == ()


def test_what_is_missing_from_a_cache_that_was_cut_off_is_computed_anew(
    clips: Clips, encoder: MelStats, cache: Path
) -> None:
    whole = embed(clips[:3], encoder, cache)
    os.truncate(EmbeddingCache(cache, encoder).path, 1_000)

    repaired = embed(clips[:3], encoder, cache)

    assert (repaired.computed, repaired.cached) == (3, 0)
    assert torch.equal(repaired.values, whole.values)


@pytest.mark.parametrize("numbers", ["float16", "bfloat16"])
def test_rounded_embeddings_are_the_same_when_made_and_when_read(
    clips: Clips, encoder: MelStats, cache: Path, numbers: str
) -> None:
    made = embed(clips[:3], encoder, cache, numbers=numbers)
    read = embed(clips[:3], encoder, cache, numbers=numbers)

    assert (made.computed, read.cached) == (3, 3)
    assert torch.equal(made.values, read.values)


class FailingEncoder(MelStats):
    """Makes no numbers of the second clip that it hears."""

    def encode(self, waveforms: torch.Tensor) -> torch.Tensor:
        embeddings = super().encode(waveforms).clone()
        embeddings[1, 0, 0] = torch.nan
        return embeddings


def test_an_embedding_with_nan_is_an_error_that_names_the_clip_and_is_not_kept(clips: Clips, cache: Path) -> None:
    encoder = FailingEncoder(4, 16_000, 5.0, torch.device("cpu"))

    with pytest.raises(UnreadableClipError, match=f"{clips[1].name} cannot be used — melstats makes an embedding"):
        embed(clips[:3], encoder, cache)
    left = embed(clips[:3], encoder, cache / "other", skip_unreadable=True)

    assert left.clips == (clips[0], clips[2])
    assert EmbeddingCache(cache, encoder).find(clips[1].content_hash()) is None


class LoudEncoder(MelStats):
    """Makes a number that float16 cannot hold."""

    def encode(self, waveforms: torch.Tensor) -> torch.Tensor:
        embeddings = super().encode(waveforms).clone()
        embeddings[1, 0, 0] = 1e5
        return embeddings


def test_an_embedding_that_overflows_float16_is_an_error_that_says_so(clips: Clips, cache: Path) -> None:
    encoder = LoudEncoder(4, 16_000, 5.0, torch.device("cpu"))

    with pytest.raises(UnreadableClipError, match="too large for float16"):
        embed(clips[:3], encoder, cache, numbers="float16")
    assert embed(clips[:3], encoder, cache, numbers="bfloat16").computed == 3


def test_progress_counts_every_clip(clips: Clips, tmp_path: Path, encoder: MelStats, cache: Path) -> None:
    seen: list[tuple[int, int]] = []
    broken = broken_clip(tmp_path / "broken.wav")

    embed([*clips, broken], encoder, cache, skip_unreadable=True, progress=lambda done, of: seen.append((done, of)))

    assert seen[-1] == (31, 31)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_two_at_once_in_one_cache_agree(clips: Clips, encoder: MelStats, cache: Path) -> None:
    results: list[torch.Tensor] = []
    threads = [threading.Thread(target=lambda: results.append(embed(clips, encoder, cache).values)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert torch.equal(*results)


def test_a_cache_that_cannot_be_written_to_is_an_error(clips: Clips, encoder: MelStats, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(FailedError, match="embedding cache"):
        embed(clips[:1], encoder, tmp_path / "file")


def test_no_thread_outlives_a_call_that_fails(clips: Clips, tmp_path: Path, encoder: MelStats, cache: Path) -> None:
    with pytest.raises(UnreadableClipError):
        embed([broken_clip(tmp_path / "broken.wav"), *clips], encoder, cache)

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("load-clips")]


@pytest.mark.parametrize("broken", [False, True])
def test_torch_has_its_threads_back_after_a_call(
    clips: Clips, tmp_path: Path, encoder: MelStats, cache: Path, broken: bool
) -> None:
    before = torch.get_num_threads()

    with pytest.raises(UnreadableClipError) if broken else nullcontext():
        embed([broken_clip(tmp_path / "broken.wav")] if broken else clips[:1], encoder, cache)

    assert torch.get_num_threads() == before
