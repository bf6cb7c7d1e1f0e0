"""Small data sets in every layout that real ones have: a few clips of each class that can be told apart."""

import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile

CLASSES = ("dog", "rain")
RATE = 16_000


def write_sound(path: Path, name: str, number: int, seconds: float = 0.5) -> None:
    """A sound whose pitch tells its class, and whose noise tells it from the others of the class."""
    pitch = 150 + int.from_bytes(hashlib.sha256(name.encode()).digest()[:2]) % 3000
    random = np.random.default_rng(number)
    time = np.arange(round(seconds * RATE)) / RATE
    sound = 0.4 * np.sin(2 * np.pi * pitch * random.uniform(0.97, 1.03) * time)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound + 0.05 * random.standard_normal(len(time)), RATE)


def write_esc50(
    root: Path, classes: Sequence[str] = CLASSES, per_class: int = 10, *, seconds: float = 0.5, takes: int = 2
) -> Path:
    """The official layout: `meta/esc50.csv` and `audio/`. A source has `takes` clips, all in one fold."""
    rows = []
    for label, name, number, fold, filename in _esc50_clips(classes, per_class, takes):
        write_sound(root / "audio" / filename, name, number, seconds)
        source, take = filename.split("-")[1:3]
        rows.append([filename, fold, label, name, "False", source, take])
    (root / "meta").mkdir(parents=True, exist_ok=True)
    _write_rows(
        root / "meta" / "esc50.csv", [["filename", "fold", "target", "category", "esc10", "src_file", "take"], *rows]
    )
    return root


def write_esc50_folds(
    root: Path, classes: Sequence[str] = CLASSES, per_class: int = 10, *, seconds: float = 0.5, takes: int = 2
) -> Path:
    """The earlier system's ESC-50: `audio/fold00` to `fold04` with a `fold00.json` of each, and its other files."""
    labels: dict[int, dict[str, list[str]]] = {fold: {} for fold in range(5)}
    for _, name, number, fold, filename in _esc50_clips(classes, per_class, takes):
        write_sound(root / "audio" / f"fold{fold - 1:02}" / filename, name, number, seconds)
        labels[fold - 1][filename] = [name]
    for fold, content in labels.items():
        (root / "audio" / f"fold{fold:02}").mkdir(parents=True, exist_ok=True)
        (root / f"fold{fold:02}.json").write_text(json.dumps(content))
    (root / "class_labels.json").write_text(json.dumps({name: label for label, name in enumerate(classes)}))
    (root / "captions.json").write_text(json.dumps({name: [f"the sound of {name}"] for name in classes}))
    return root


def write_vegas(
    root: Path, classes: Sequence[str] = CLASSES, per_class: int = 10, *, seconds: float = 0.5, takes: int = 2
) -> Path:
    """`{class}/video_info.csv` and `{class}/audios/video_00000.wav`; a video has `takes` clips."""
    for name in classes:
        rows = [["video_id", "youtube_id", "start_time", "end_time"]]
        for number in range(per_class):
            write_sound(root / name / "audios" / f"video_{number:05}.wav", name, number, seconds)
            rows.append([str(number), youtube_id(name, number // takes), str(10 * (number % takes)), "10"])
        for beside in ("img", "videos"):
            (root / name / beside).mkdir(parents=True, exist_ok=True)
        _write_rows(root / name / "video_info.csv", rows)
    return root


def write_vggsound(
    root: Path,
    classes: Sequence[str] = CLASSES,
    per_class: int = 10,
    *,
    seconds: float = 0.5,
    ending: str = "wav",
    audio: str = "audio",
    gone: int = 0,
) -> Path:
    """`vggsound.csv` beside a folder of audio; a fifth of each class is its official test, `gone` rows have no file."""
    rows = []
    for name in classes:
        for number in range(per_class + gone):
            video, start = youtube_id(name, number), 10 * number
            if number < per_class:
                write_sound(root / audio / f"{video}_{start:06}.{ending}", name, number, seconds)
            rows.append([video, str(start), name.replace("_", " "), "test" if number % 5 == 4 else "train"])
    root.mkdir(parents=True, exist_ok=True)
    _write_rows(root / "vggsound.csv", rows)
    return root


def write_folder(
    root: Path, classes: Sequence[str] = CLASSES, per_class: int = 10, *, seconds: float = 0.5, splits: bool = False
) -> Path:
    """A directory per class; with `splits` under `train`, `val` and `test`: 6, 2 and 2 of ten."""
    for name in classes:
        for number in range(per_class):
            part = ("train", "val", "test")[max(0, number % 10 // 2 - 2)] if splits else ""
            write_sound(root / part / name / f"{number:03}.wav", name, number, seconds)
    return root


def write_csv(
    root: Path,
    classes: Sequence[str] = CLASSES,
    per_class: int = 10,
    *,
    seconds: float = 0.5,
    column: str | None = None,
    nodes: int = 0,
) -> Path:
    """`clips.csv` with path and class, and where asked for fold or split, and which of `nodes` holds it."""
    rows = [["path", "class", *([column] if column else []), *(["node"] if nodes else [])]]
    for name in classes:
        for number in range(per_class):
            place = f"sounds/{name}-{number:03}.wav"
            write_sound(root / place, name, number, seconds)
            values = {"fold": str(number % 5 + 1), "split": "test" if number % 5 == 4 else "train"}
            dealt = [str(number // 5 % nodes)] if nodes else []
            rows.append([place, name, *([values[column]] if column else []), *dealt])
    _write_rows(root / "clips.csv", rows)
    return root


def youtube_id(name: str, number: int) -> str:
    """Eleven characters, as a video of YouTube has them."""
    return hashlib.sha256(f"{name} {number}".encode()).hexdigest()[:11]


def _esc50_clips(classes: Sequence[str], per_class: int, takes: int) -> Iterator[tuple[int, str, int, int, str]]:
    """Label, class, number, fold and file name."""
    for label, name in enumerate(classes):
        for number in range(per_class):
            source = number // takes
            fold = source % 5 + 1
            yield (
                label,
                name,
                number,
                fold,
                f"{fold}-{100_000 + 1000 * label + source}-{'ABCDEFGH'[number % takes]}-{label}.wav",
            )


def _write_rows(path: Path, rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
