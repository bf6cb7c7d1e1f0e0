"""What becomes of pictures: their list, what is known of them as a whole, and the contact sheet."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from feda2v_cli.atomic_write import atomic_write
from feda2v_cli.errors import FailedError
from feda2v_cli.image.album import Drawn
from feda2v_cli.image.clip_model import ClipModel
from feda2v_cli.image.contact_sheet import Row, contact_sheet
from feda2v_cli.image.gallery import LISTED, Gallery, opened, recall
from feda2v_cli.image.picture import PictureMaker, write_picture
from feda2v_cli.image.score import score, shuffled, similarity
from feda2v_cli.job.images.subjects import Subject
from feda2v_cli.run.json_text import json_text

LIST = "images.json"
SHEET = "contact.png"


def recalls(drawn: Sequence[Drawn], maker: PictureMaker) -> dict[str, dict[str, float]]:
    """Recall among the nearest 1 and 5 pictures of a gallery, of adapters and of targets, each beside chance.

    Args:
        drawn: pictures that were found.
        maker: the gallery; anything else has no recall.

    Returns:
        By source: `recall_at_1`, `chance_at_1`, `recall_at_5`, `chance_at_5`, `clips`. Only clips count whose class has
        pictures in the gallery.
    """
    if not isinstance(maker, Gallery):
        return {}
    held = Counter(picture.class_name for picture in maker.pictures if picture.class_name is not None)
    found = {}
    for source in ("adapter", "target"):
        rows = [
            one
            for one in drawn
            if one.wanted.origin["source"] == source and held.get(one.wanted.origin.get("class", ""), 0)
        ]
        if rows:
            ranked = [[near["class"] for near in one.details["nearest"]] for one in rows]
            classes = [one.wanted.origin["class"] for one in rows]
            figures: dict[str, float] = {"clips": len(rows)}
            for k in (1, LISTED):
                at = recall(
                    ranked, classes, {name or "": count for name, count in held.items()}, len(maker.pictures), k
                )
                figures |= {f"recall_at_{k}": at["recall"], f"chance_at_{k}": at["chance"]}
            found[source] = figures
    return found


def scores(drawn: Sequence[Drawn], classes: Sequence[str], model: Path, seed: int) -> dict[str, dict[str, Any]]:
    """Zero-shot classification of the pictures by CLIP: of adapters, of true targets, and of shuffled pairs.

    Args:
        drawn: pictures; those without a class do not count.
        classes: among which CLIP chooses.
        model: directory of the CLIP model.
        seed: of the pairings.

    Raises:
        UsageError: it is no CLIP.
        FailedError: it cannot be loaded.
    """
    clip = ClipModel(model)
    found = {}
    for source in ("adapter", "target"):
        of_source = [one for one in drawn if one.wanted.origin["source"] == source and one.wanted.origin.get("class")]
        if of_source:
            cosines = similarity(clip, [opened(one.path) for one in of_source], classes)
            labels = [classes.index(one.wanted.origin["class"]) for one in of_source]
            found[source] = score(cosines, labels).to_dict()
            if source == "adapter":
                found["shuffled"] = shuffled(cosines, labels, seed).to_dict()
    return found


def write_sheet(
    path: Path, drawn: Sequence[Drawn], subjects: Sequence[Subject], seconds: float, heard: Mapping[str, str]
) -> None:
    """Write the contact sheet: for each class its first clip, the adapter's picture and the true target's.

    Args:
        path: the file.
        drawn: pictures.
        subjects: the clips, with their sounds.
        seconds: of a clip that are shown.
        heard: by clip, the class that its adapter's output is nearest to.

    Raises:
        FailedError: it cannot be written.
    """
    of_clip: dict[str, Drawn] = {}
    of_target: dict[str, Drawn] = {}
    for one in drawn:
        if one.wanted.origin["source"] == "adapter":
            of_clip.setdefault(one.wanted.origin["clip"], one)
        else:
            of_target.setdefault(one.wanted.origin["class"], one)
    rows = []
    for subject in _first_of_each(subjects):
        name = subject.class_name
        made = of_clip.get(subject.clip.name)
        waveform = subject.clip.read()
        mono = torch.from_numpy(waveform.samples.mean(0))[: round(seconds * waveform.sample_rate)]
        target = of_target.get(name or "")
        pictures = [None if made is None else opened(made.path)] if of_clip else []
        pictures += [None if target is None else opened(target.path)] if of_target else []
        label = name.replace("_", " ") if name else f"{subject.clip.name}: {heard.get(subject.clip.name, '')}"
        rows.append(Row(label, mono, waveform.sample_rate, tuple(pictures)))
    headings = ["from the sound"] if of_clip else []
    headings += ["from the class name"] if of_target else []
    write_picture(path, contact_sheet(rows, headings), {"Software": "feda2v"})


def write_list(path: Path, content: Mapping[str, Any]) -> None:
    """Write images.json.

    Raises:
        FailedError: it cannot be written.
    """
    try:
        with atomic_write(path) as file:
            file.write(json_text(dict(content), indent=2).encode() + b"\n")
    except OSError as error:
        raise FailedError(f"{path} cannot be written — {error.strerror}", hint="-o DIR writes elsewhere") from error


def _first_of_each(subjects: Sequence[Subject]) -> list[Subject]:
    """One clip a class, held-out ones first, and every file of the user's own."""
    first: dict[str, Subject] = {}
    for subject in sorted(subjects, key=lambda one: (one.split == "train", one.number)):
        first.setdefault(subject.class_name or subject.clip.name, subject)
    return [first[name] for name in sorted(first)]
