"""More built-in sounds in the layout of ESC-50, with a profile beside them: what more clips a class are worth.

    python benchmarks/sounds.py TARGET --per-class 250            writes meta, audio and profile.toml in TARGET, 0.6 GB
    python benchmarks/quality.py --profile TARGET/profile.toml    measures what samples are worth on them

They are sounds that no fold of the built-in data set holds.
"""

import argparse
import csv
import json
from pathlib import Path

import soundfile
from setting import FOLDS, sounds_of_no_fold

from feda2v_cli.profile.load import load_profile

FIRST_SOURCE = 100_001  # numbers of six digits, like ESC-50's


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path)
    parser.add_argument("--per-class", type=int, default=250)
    arguments = parser.parse_args()
    target: Path = arguments.target.absolute()
    nodes = [node.classes for node in load_profile("unified", environment={}).profile.nodes]
    classes = [name for of_node in nodes for name in of_node]
    (target / "audio").mkdir(parents=True)
    (target / "meta").mkdir()
    with (target / "meta" / "esc50.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("filename", "fold", "target", "category", "esc10", "src_file", "take"))
        for number, clip in enumerate(sounds_of_no_fold(classes, arguments.per_class)):
            fold, label = FOLDS[number % len(FOLDS)], classes.index(clip.class_name)
            filename = f"{fold}-{FIRST_SOURCE + number}-A-{label}.wav"
            waveform = clip.decode(clip.content())
            soundfile.write(target / "audio" / filename, waveform.samples.T, waveform.sample_rate)
            table.writerow((filename, fold, label, clip.class_name, False, FIRST_SOURCE + number, "A"))
    (target / "profile.toml").write_text(_profile(target, nodes), encoding="utf-8")
    print(f"python benchmarks/quality.py --profile {target / 'profile.toml'}")


def _profile(target: Path, nodes: list[tuple[str, ...]]) -> str:
    """The built-in nodes, each a group; a JSON string or list is one in TOML too."""
    lines = ["[data]", f"root = {json.dumps(str(target))}", "", "[generator.groups]"]
    lines += [f"group{number} = {json.dumps(list(classes))}" for number, classes in enumerate(nodes)]
    for number, classes in enumerate(nodes):
        lines += ["", "[[nodes]]", f"id = {number}", f"classes = {json.dumps(list(classes))}"]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
