import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from patience import SECONDS
from strange_clips import CrashingClip, SilentClip

from feda2v_cli.data.builtin import BuiltinClip
from feda2v_cli.data.clip import UnreadableClipError
from feda2v_cli.embedding import embed as embed_module
from feda2v_cli.embedding.decoders import Decoders, waveform_of
from feda2v_cli.embedding.embed import embed
from feda2v_cli.embedding.melstats import MelStats

Clips = tuple[BuiltinClip, ...]

#: Starts a process that decodes, says which, and is killed.
KILLED = """
import os, signal
from feda2v_cli.embedding.decoders import Decoders
decoders = Decoders(1, 16000, 5.0)
print(decoders._workers[0]._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def as_kind(clip: BuiltinClip, kind: type[BuiltinClip]) -> BuiltinClip:
    return kind(clip.name, clip.class_name, clip.fold, take=clip.take)


def test_a_process_decodes_to_the_same_bits_tells_what_it_cannot_use_and_is_replaced_when_a_clip_brings_it_down(
    clips: Clips,
) -> None:
    with Decoders(1, 16_000, 5.0) as decoders:
        for clip in clips[:3]:
            assert torch.equal(decoders.waveform(clip), waveform_of(clip, clip.content(), 16_000, 5.0))
        with pytest.raises(UnreadableClipError) as caught:
            decoders.waveform(as_kind(clips[0], SilentClip))
        assert caught.value.reason == "it is silent \udcff"
        with pytest.raises(UnreadableClipError, match="its decoder ended by signal 11"):
            decoders.waveform(as_kind(clips[0], CrashingClip))
        assert len(decoders.waveform(clips[0])) == 80_000
    assert not multiprocessing.active_children()


def test_processes_end_when_the_one_that_started_them_is_killed() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, timeout=SECONDS)

    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + SECONDS
    while Path(f"/proc/{int(done.stdout)}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_many_clips_have_the_same_bits_when_processes_decode_them(
    clips: Clips, encoder: MelStats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = embed(clips, encoder, tmp_path / "threads").values
    started = multiprocessing.active_children()
    monkeypatch.setattr(embed_module, "_WORTH_PROCESSES", 8)
    seen: list[int] = []

    together = embed(
        clips, encoder, tmp_path / "processes", progress=lambda *_: seen.append(len(multiprocessing.active_children()))
    )

    assert torch.equal(together.values, alone)
    assert seen[0] == max(1, (os.cpu_count() or 1) - 1)
    assert started == multiprocessing.active_children() == []


def test_an_unreadable_clip_ends_the_processes_too(
    clips: Clips, encoder: MelStats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed_module, "_WORTH_PROCESSES", 8)
    with pytest.raises(UnreadableClipError, match="silent"):
        embed([*clips[:29], as_kind(clips[29], SilentClip)], encoder, tmp_path)
    assert not multiprocessing.active_children()
