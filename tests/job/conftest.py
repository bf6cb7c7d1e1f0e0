"""A directory in the official layout of ESC-50, with sounds in it; and a place for runs where nobody else looks."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from feda2v_cli.data.builtin import builtin_clips

SAMPLE_RATE = 44100
SECONDS = 1.0


@pytest.fixture(scope="session")
def esc50(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """15 classes × 5 folds × 2 clips, 44.1 kHz WAV, `meta/esc50.csv`."""
    root = tmp_path_factory.mktemp("ESC-50")
    (root / "meta").mkdir()
    (root / "audio").mkdir()
    clips = [clip for clip in builtin_clips() if clip.take < 10]
    classes = sorted({clip.class_name for clip in clips})
    times = np.arange(int(SAMPLE_RATE * SECONDS)) / SAMPLE_RATE
    with (root / "meta" / "esc50.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["filename", "fold", "target", "category", "esc10", "src_file", "take"])
        for clip in clips:
            target = classes.index(clip.class_name)
            name = f"{clip.fold}-{100000 + clip.take}-A-{target}.wav"
            waveform = clip.read()
            own = np.arange(waveform.samples.shape[1]) / waveform.sample_rate
            soundfile.write(root / "audio" / name, np.interp(times, own, waveform.samples[0]), SAMPLE_RATE)
            table.writerow([name, clip.fold, target, clip.class_name, "False", 100000 + clip.take, "A"])
    return root


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where runs are recorded that are told no other place."""
    with pytest.MonkeyPatch.context() as patch:
        directory = tmp_path_factory.mktemp("runs")
        patch.setenv("FEDA2V_EXPERIMENT_RUNS", str(directory))
        yield directory
