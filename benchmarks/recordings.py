"""Real recordings in the layout of ESC-50, from sample packages of Debian, with a profile beside them.

    python benchmarks/recordings.py TARGET                        writes meta, audio and profile.toml in TARGET
    python benchmarks/quality.py --profile TARGET/profile.toml    measures what samples are worth on them

As in ESC-50, a kind has at most 40 clips, and all takes of one source lie in one fold. The same packages give the same
clips, folds and names. It needs:

    apt-get install hydrogen-drumkits klettres-data lmms-common minetest-data sonic-pi-samples
"""

import argparse
import csv
import hashlib
import json
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import ascii_uppercase

import soundfile

PACKAGES = ("hydrogen-drumkits", "klettres-data", "lmms-common", "minetest-data", "sonic-pi-samples")
SUFFIXES = (".aiff", ".flac", ".ogg", ".wav")
FOLDS = (1, 2, 3, 4, 5)
CLIPS_MAX = 40  # a kind, as in ESC-50
CLIPS_MIN = 15  # a kind: three a fold
DURATION_MIN_SECONDS = 0.025  # feda2v reads no shorter clip
FIRST_SOURCE = 100_001  # numbers of six digits, like ESC-50's

# What a recording is, by its name in lower case, for instance "lmms-common/samples/drums/clap01": the first pattern
# that is found counts. The groups are those of the profile; each has a node.
KINDS = {
    "percussion": {
        "loop": r"/loop_|/beats/|/bassloops/",
        "clap": r"clap",
        "cowbell": r"cowbell|agogo|(dununba|kenkeni|sangban)\d bell",
        "shaker": r"shaker|maraca|tambourine",
        "wood": r"/clave?\d*$|woodblock|drums/wood|elec_wood|forzeestereo/stick$",
        "hand_drum": r"bongo|cajon|conga|djembe|(dununba|kenkeni|sangban)\d head",
        "tabla": r"/tabla_",
    },
    "drum_kit": {
        "kick": r"kick|bass ?drum|/bd_|drum_bass_",
        "snare": r"snare|/sn_|redo super opaco",  # a rimshot is a hit of the snare drum
        "rim": r"/(c#3 - |pearl side )?stick$|sidestick|rim click|drums/(nasty_)?rim",
        "tom": r"\btom|_tom(_|$)",
        "hihat": r"\bhat\b|hi[- ]?hat|\bo?hh\b|drum_cymbal_(closed|open|pedal)",
        "ride": r"(?<!crash/)ride|paiste bell",
        "crash": r"crash(?!/ride)",
        "effect_cymbal": r"china|splash_|splash\b",
    },
    "various": {
        "bass": r"/bass_|/basses/|bassslap|glitch_bass",
        "electronic": r"/elec_|/mehackit_|glitch_robot|/zap",
        "pad": r"/ambi_|/stringsnpads/",
        "instrument": r"/guit_|/instruments/|/latin/",
        "voice": r"klettres-data/",
        "footstep": r"_footstep",
        "digging": r"default_(dig|dug|place)_|_(dig|dug)\b",
    },
}

# Kits whose instruments are named after places of General MIDI, whatever they sound like.
MISNAMED = "/audiophob/"

# What tells takes of one source apart: the number, the force of the hit, or the letter that one output says.
TAKE = re.compile(r"/(alpha|syllab)/.*|[ ._-]*(hard|soft)?[ ._-]*\d*$")


@dataclass(frozen=True)
class Recording:
    """A file of a package, with the name that tells kind and source."""

    path: Path
    name: str

    @property
    def kind(self) -> str | None:
        """What sounds in it, if the name tells."""
        if MISNAMED in self.name:
            return None
        patterns = (item for kinds in KINDS.values() for item in kinds.items())
        return next((kind for kind, pattern in patterns if re.search(pattern, self.name)), None)

    @property
    def source(self) -> str:
        """What its other takes share with it: kit and instrument, or the output."""
        return TAKE.sub("", self.name, count=1)


Sources = dict[str, dict[str, list[Recording]]]  # the clips of every source of every kind


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, metavar="TARGET", help="a directory that is not there yet")
    target = parser.parse_args().target.resolve()
    if target.exists():
        raise SystemExit(f"error: {target} is there already")
    recordings = _recordings()
    sources = {kind: _sources(kind, of_kind) for kind, of_kind in _by_kind(_distinct(recordings)).items()}
    folds = {kind: _folds(of_kind) for kind, of_kind in sources.items()}
    _write(target, sources, folds)
    (target / "profile.toml").write_text(_profile(target), encoding="utf-8")
    _print(sources, folds)
    print(f"{sum(recording.kind is None for recording in recordings)} recordings are of none of these kinds")
    print(f"python benchmarks/quality.py --profile {target / 'profile.toml'}")


def _recordings() -> list[Recording]:
    """All recordings of the packages, in the order of their paths."""
    return [
        Recording(path, f"{package}/{_name(path)}".lower())
        for package in PACKAGES
        for path in sorted(_files(package))
        if path.suffix in SUFFIXES and _is_in_use(path)
    ]


def _files(package: str) -> list[Path]:
    try:
        listed = subprocess.run(["dpkg-query", "--listfiles", package], capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        raise SystemExit(
            f"error: the package {package} is not installed\nhint: apt-get install {' '.join(PACKAGES)}"
        ) from None
    return [Path(line) for line in listed.stdout.splitlines()]


def _is_in_use(path: Path) -> bool:
    """Whether a file sounds in its drum kit, where it lies in one."""
    instruments = _instruments(path.parent)
    return not instruments or path.name in instruments


def _name(path: Path) -> str:
    """Two folders and the stem, or in a drum kit the instrument.

    Kits name their files `bd_01` or `beats_06-38`, and say in `drumkit.xml` which instrument they are a layer of.
    """
    return "/".join((*path.parts[-3:-1], _instruments(path.parent).get(path.name, path.stem)))


@cache
def _instruments(folder: Path) -> dict[str, str]:
    """The instrument of every file of a drum kit: the first that has it as a layer."""
    if not (folder / "drumkit.xml").is_file():
        return {}
    instruments: dict[str, str] = {}
    for instrument in ElementTree.parse(folder / "drumkit.xml").iterfind(".//{*}instrument"):
        for layer in instrument.iterfind(".//{*}filename"):
            instruments.setdefault(layer.text or "", (instrument.findtext("{*}name") or "").strip())
    return instruments


def _distinct(recordings: Iterable[Recording]) -> Iterator[Recording]:
    """The recordings of a kind that can be read and are long enough, each sound once."""
    seen = set()
    for recording in recordings:
        if recording.kind is None:
            continue
        try:
            samples, rate = soundfile.read(recording.path)
        except soundfile.LibsndfileError as error:
            print(f"left out: {error}")
            continue
        content = hashlib.sha256(samples.tobytes()).digest()
        if content not in seen and len(samples) >= DURATION_MIN_SECONDS * rate:
            yield recording
        seen.add(content)


def _by_kind(recordings: Iterable[Recording]) -> dict[str, list[Recording]]:
    by_kind: dict[str, list[Recording]] = {kind: [] for kinds in KINDS.values() for kind in kinds}
    for recording in recordings:
        by_kind[recording.kind or ""].append(recording)
    return by_kind


def _sources(kind: str, recordings: list[Recording]) -> dict[str, list[Recording]]:
    """The clips of a kind by source: one of every source, then a second of every source, until there are enough."""
    by_source: dict[str, list[Recording]] = defaultdict(list)
    for recording in recordings:
        by_source[recording.source].append(recording)
    if len(recordings) < CLIPS_MIN or len(by_source) < len(FOLDS):
        raise SystemExit(f"error: the packages give {len(recordings)} clips of {len(by_source)} sources of {kind}")
    turns = [
        (turn, source, recording)
        for source, takes in by_source.items()
        for turn, recording in enumerate(takes[: len(ascii_uppercase)])
    ]
    chosen: dict[str, list[Recording]] = defaultdict(list)
    for _, source, recording in sorted(turns, key=lambda turn: turn[:2])[:CLIPS_MAX]:
        chosen[source].append(recording)
    return chosen


def _folds(sources: dict[str, list[Recording]]) -> dict[str, int]:
    """A fold for every source: the largest first, each where the fewest clips of its kind are."""
    clips = dict.fromkeys(FOLDS, 0)
    folds = {}
    for source in sorted(sources, key=lambda source: (-len(sources[source]), source)):
        folds[source] = min(FOLDS, key=lambda fold: clips[fold])
        clips[folds[source]] += len(sources[source])
    return folds


def _write(target: Path, sources: Sources, folds: dict[str, dict[str, int]]) -> None:
    (target / "audio").mkdir(parents=True)
    (target / "meta").mkdir()
    with (target / "meta" / "esc50.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("filename", "fold", "target", "category", "esc10", "src_file", "take"))
        number = FIRST_SOURCE
        for label, (kind, of_kind) in enumerate(sources.items()):
            for source, recordings in of_kind.items():
                for take, recording in zip(ascii_uppercase, recordings, strict=False):
                    filename = f"{folds[kind][source]}-{number}-{take}-{label}.wav"
                    _write_wav(target / "audio" / filename, recording.path)
                    table.writerow((filename, folds[kind][source], label, kind, False, number, take))
                number += 1


def _write_wav(path: Path, recording: Path) -> None:
    samples, rate = soundfile.read(recording)
    coding = soundfile.info(recording).subtype
    soundfile.write(path, samples, rate, subtype=coding if coding.startswith("PCM") else "PCM_16")


def _profile(target: Path) -> str:
    """A profile of three nodes, one for each group of kinds; a JSON string or list is one in TOML too."""
    groups = [f"{group} = {json.dumps(list(kinds))}" for group, kinds in KINDS.items()]
    nodes = [
        f"[[nodes]]\nid = {node}\nclasses = {json.dumps(list(kinds))}" for node, kinds in enumerate(KINDS.values())
    ]
    return "\n\n".join(
        (
            '[experiment]\nname = "recordings"\nseed = 0',
            f"[data]\nroot = {json.dumps(str(target))}\ntrain_folds = {[*FOLDS[:-1]]}\ntest_folds = {[FOLDS[-1]]}",
            '[generator]\ngranularity = "per_group"',
            "\n".join(("[generator.groups]", *groups)),
            *nodes,
            "",
        )
    )


def _print(sources: Sources, folds: dict[str, dict[str, int]]) -> None:
    print("kind           sources  clips  " + "  ".join(f"fold {fold}" for fold in FOLDS))
    for kind, of_kind in sources.items():
        clips = Counter(folds[kind][source] for source, recordings in of_kind.items() for _ in recordings)
        columns = "  ".join(f"{clips[fold]:>6}" for fold in FOLDS)
        print(f"{kind:15}{len(of_kind):>7}{clips.total():>7}  {columns}")


if __name__ == "__main__":
    main()
