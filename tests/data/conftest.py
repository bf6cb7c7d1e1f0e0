from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

HEADER = "filename,fold,target,category,esc10,src_file,take"


def write_tone(path: Path, *, sample_rate: int = 16_000, seconds: float = 0.2, **options: str) -> None:
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * time), sample_rate, **options)


@pytest.fixture
def esc50(tmp_path: Path) -> Callable[..., Path]:
    """Makes a data set in the official layout: two clips of each class in every fold."""

    def make(
        categories: tuple[str, ...] = ("dog", "Sea waves"), folds: range = range(1, 6), name: str = "ESC-50"
    ) -> Path:
        root = tmp_path / name
        rows = [HEADER]
        for target, category in enumerate(categories):
            for fold in folds:
                for take in "AB":
                    filename = f"{fold}-{1000 + target}-{take}-{target}.wav"
                    write_tone(root / "audio" / filename)
                    rows.append(f"{filename},{fold},{target},{category},True,{1000 + target},{take}")
        (root / "meta").mkdir()
        (root / "meta" / "esc50.csv").write_text("\n".join(rows) + "\n")
        return root

    return make
