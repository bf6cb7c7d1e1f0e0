"""VGGSound: `vggsound.csv` says YouTube id, start second, label and split of every clip; the audio lies beside it.

Chen et al., "VGGSound: A Large-scale Audio-Visual Dataset" (ICASSP 2020). The file has no header:
`"---g-f_I2yQ","1","people marching","test"`.
"""

from pathlib import Path

from feda2v_cli.counted import counted
from feda2v_cli.data.clip import FileClip
from feda2v_cli.data.layout.layout import AUDIO_ENDINGS, PARTS, Layout, Listing, check_classes, first, listing, names_in
from feda2v_cli.data.layout.table import Row, read_table
from feda2v_cli.errors import FailedError, MissingError
from feda2v_cli.paths import is_directory, is_file
from feda2v_cli.profile.schema import as_class_name

_METADATA = "vggsound.csv"
#: Where copies keep the audio: in one directory, or in one of each part.
_AUDIO = tuple(f"{part}{name}" for part in ("", "train/", "test/") for name in ("audio", "audios", "wav", "vggsound"))


def vggsound_clips(root: Path, skip_absent: bool = False) -> Listing:  # noqa: ARG001
    """The clips of `vggsound.csv` whose audio is there. Reads no audio.

    Videos vanish from YouTube, and no copy has all of them: rows without a file are left out, and counted in a note.

    Args:
        root: the directory that holds `vggsound.csv` and the audio.
        skip_absent: of no meaning here.

    Raises:
        MissingError: the root, the metadata, the audio or all of its files are not there.
        FailedError: the metadata holds wrong values, or two labels that would become one class.
    """
    metadata = root / _METADATA
    if not is_file(metadata):
        raise MissingError(
            f"{metadata} is not there",
            [f"{root} holds {listing(root)}"],
            hint="--data-root is the directory that holds vggsound.csv and the audio",
        )
    places = [root / name for name in _AUDIO if is_directory(root / name)]
    if not places:
        raise MissingError(
            f"{root} holds no audio beside {_METADATA}",
            [f"it holds {listing(root)}", f"looked for the directories {', '.join(_AUDIO)}"],
        )
    rows = read_table(metadata, ("id", "start", "label", "split"), has_header=False)
    names = {label: as_class_name(label) or "" for label in dict.fromkeys(row["label"] for row in rows)}
    _check_values(metadata, rows, names)
    lines = {row["label"]: row.line for row in reversed(rows)}
    check_classes(metadata, ((label, f"line {lines[label]}", name) for label, name in names.items()))
    files = _files(places)
    clips = []
    for row in rows:
        stem = f"{row['id']}_{int(row['start']):06}"
        path = files.pop(stem, None)
        if path is not None:
            name = names[row["label"]]
            clips.append(FileClip(path.name, name, source=row["id"], part=PARTS[row["split"]], path=path))
    if not clips:
        example = f"{rows[0]['id']}_{int(rows[0]['start']):06}.wav"
        raise MissingError(
            f"{places[0]} holds no clip of {metadata}",
            [f"it holds {listing(places[0])}", f"expected names like {example} (id and start in six digits)"],
        )
    absent = len(rows) - len(clips)
    notes = [f"left out {absent} of the {len(rows)} clips of {metadata}: their audio is not there"] if absent else []
    if files:
        notes.append(f"left out {len(files)} files beside {metadata} that it does not name")
    return Listing(tuple(clips), tuple(notes))


def _check_values(metadata: Path, rows: list[Row], names: dict[str, str]) -> None:
    problems = []
    seen: dict[tuple[str, str], int] = {}
    for row in rows:
        if not row["id"]:
            problems.append(f"{metadata}:{row.line} the id is empty")
        if not (row["start"].isascii() and row["start"].isdigit()):
            problems.append(f"{metadata}:{row.line} the start is {row['start']!r} — expected seconds, a whole number")
        if not names[row["label"]]:
            problems.append(f"{metadata}:{row.line} the label is {row['label']!r} — expected a class, in Latin letters")
        if row["split"] not in PARTS:
            problems.append(f"{metadata}:{row.line} the split is {row['split']!r} — expected train or test")
        before = seen.setdefault((row["id"], row["start"]), row.line)
        if before != row.line:
            problems.append(f"{metadata}:{row.line} the clip of line {before} again")
    if problems:
        raise FailedError(
            f"{metadata} has {counted(len(problems), 'wrong value')}",
            first(problems),
            hint="its columns are id, start, label, split",
        )


def _files(places: list[Path]) -> dict[str, Path]:
    """Audio files by their name without ending; of several, the one whose ending comes first in `AUDIO_ENDINGS`."""
    found: dict[str, tuple[int, Path]] = {}
    for place in places:
        for name in names_in(place):
            stem, dot, ending = name.rpartition(".")
            if f"{dot}{ending.lower()}" in AUDIO_ENDINGS:
                rank = AUDIO_ENDINGS.index(f".{ending.lower()}")
                if stem not in found or rank < found[stem][0]:
                    found[stem] = rank, place / name
    return {stem: path for stem, (_, path) in found.items()}


VGGSOUND = Layout(
    name="vggsound",
    holds=f"{_METADATA} and audio/",
    recognises=lambda root: is_file(root / _METADATA),
    usual_split=lambda root: "official",  # noqa: ARG005
    clips=vggsound_clips,
)
