"""One way to each finding: what to do to sound checkpoints, and the command that sees it.

Every scenario runs in an empty working directory, so that its output is the same everywhere.
"""

import os
from collections.abc import Callable
from pathlib import Path

import torch
from checkpoint_samples import CLAIM, ON_A_PUBLIC_BASIS, architecture_of, metadata_of, write, write_set

from feda2v_cli.checkpoint.format.archive import read_archive
from feda2v_cli.checkpoint.format.opening import opened

UNIFIED = Path("checkpoints/generators")
PER_CLASS = Path("checkpoints/generators_per_class")
PER_GROUP = Path("checkpoints/generators_per_group")
PROFILE = Path("small.toml")

PROFILE_TEXT = """
[generator]
granularity = "per_class"
[generator.groups]
animals = ["dog", "cow"]
nature_sounds = ["rain", "sea_waves"]
[[nodes]]
id = 0
classes = ["dog", "cow"]
[[nodes]]
id = 1
classes = ["rain", "sea_waves"]
"""


def write_profile(kind: str = "per_class", top: str = "", **replacements: str) -> str:
    """Write the profile of the small run.

    Args:
        kind: granularity of its generators.
        top: sections to put before the others.
        replacements: what stands instead of a key's line.
    """
    text = PROFILE_TEXT.replace("per_class", kind)
    for key, line in replacements.items():
        old = next(there for there in text.splitlines() if there.startswith(f"{key} ="))
        text = text.replace(old, line)
    PROFILE.write_text(f"{top}\n{text}")
    return str(PROFILE)


def flip_bit(path: Path, place: int) -> None:
    """Flip one bit of a file."""
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


def swap(first: Path, second: Path) -> None:
    """Exchange two files' names."""
    aside = first.with_suffix(".aside")
    first.rename(aside)
    second.rename(first)
    aside.rename(second)


def not_found() -> list[str]:
    write_set(UNIFIED, "unified")
    return ["--profile", write_profile()]


def base_name_mismatch() -> list[str]:
    write_set(PER_CLASS, "per_class", base_name="mine")
    return ["--profile", write_profile()]


def granularity_mismatch() -> list[str]:
    write_set(UNIFIED, "unified")
    return [str(UNIFIED), "--granularity", "per_class"]


def node_missing() -> list[str]:
    for path in write_set(PER_CLASS, "per_class")[2:]:
        path.unlink()
    return ["--profile", write_profile()]


def class_not_covered() -> list[str]:
    write_set(PER_CLASS, "per_class")[3].unlink()
    return []


def groups_differ() -> list[str]:
    write_set(PER_GROUP, "per_group")
    return ["--profile", write_profile("per_group", nature_sounds='nature_sounds = ["rain", "sea_waves", "wind"]')]


def encoder_mismatch() -> list[str]:
    write_set(PER_CLASS, "per_class")
    return ["--profile", write_profile(top="[embedding]\ntokens = 8\nsample_rate = 44100")]


def architecture_mismatch() -> list[str]:
    write_set(UNIFIED, "unified")
    write(UNIFIED, metadata_of("unified", 1), **{"projection.mean": torch.zeros(33)})
    return ["--deep"]


def corrupt() -> list[str]:
    path = write_set(UNIFIED, "unified")[0]
    flip_bit(path, middle_of(path, "data/0"))
    return []


def middle_of(path: Path, record: str) -> int:
    """A byte in the middle of a record."""
    with opened(path) as file:
        archive = read_archive(file)
        return archive.content_offset(archive.records[record]) + archive.records[record].size // 2


class Payload:
    """What a pickle runs when somebody unpickles it."""

    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call, self.arguments


def unsafe() -> list[str]:
    UNIFIED.mkdir(parents=True)
    content = {"generator_type": "vae", "generator_state_dict": {}, "note": Payload(os.system, "touch executed")}
    torch.save(content, UNIFIED / "vae_unified_node0.pt")
    return []


def not_finite() -> list[str]:
    write_set(UNIFIED, "unified")
    write(UNIFIED, metadata_of("unified", 1), **{"projection.mean": torch.full((32,), float("inf"))})
    return ["--deep"]


def name_disagrees() -> list[str]:
    first, second = write_set(UNIFIED, "unified")
    swap(first, second)
    return []


def same_weights() -> list[str]:
    write_set(PER_CLASS, "per_class")
    write(PER_CLASS, metadata_of("per_class", 0, "dog"), seed=5)
    write(PER_CLASS, metadata_of("per_class", 1, "rain"), seed=5)
    return []


def generator_type_mismatch() -> list[str]:
    write_set(PER_CLASS, "per_class")
    return ["--profile", write_profile(granularity='granularity = "per_class"\ntype = "gaussian"')]


def round_gap() -> list[str]:
    write_set(UNIFIED, "unified")
    write(UNIFIED, metadata_of("unified", 1, round=5))
    return []


def dataset_differs() -> list[str]:
    write_set(PER_CLASS, "per_class")
    return ["--profile", write_profile(top="[data]\ntrain_folds = [1, 2, 3, 5]\ntest_folds = [4]")]


def newer_format() -> list[str]:
    write_set(UNIFIED, "unified")
    write(UNIFIED, metadata_of("unified", 1, format_version=3))
    return []


def leftover() -> list[str]:
    write_set(UNIFIED, "unified")
    (UNIFIED / ".vae_unified_node0.pt.0a1b2c3d.tmp").write_bytes(b"PK")
    return []


def legacy() -> list[str]:
    UNIFIED.mkdir(parents=True)
    content = {
        "client_id": "0",
        "node_id": 0,
        "round": 9,
        "generator_type": "vae",
        "generator_granularity": "unified",
        "generator_key": None,
        "generator_classes": None,
        "selected_classes": ["dog", "cow"],
        "audio_model_name": "MIT/ast-finetuned-audioset-10-10-0.4593",
        "generator_state_dict": torch.nn.Linear(3, 2).state_dict(),
    }
    torch.save(content, UNIFIED / "vae_unified_node0_round_9.pt")
    return []


def collapsed() -> list[str]:
    quality = {"spread": 0.55, "per_class": {"dog": {"spread": 0.28}, "cow": {"spread": 0.8}}}
    write_set(UNIFIED, "unified", quality=quality)
    return []


def stale() -> list[str]:
    write_set(PER_CLASS, "per_class")
    before = {"node_classes": ("dog", "cow", "frog"), "expected_keys": ("dog", "cow", "frog")}
    frog = {"generator_classes": ("frog",), "timestamp": "2026-11-19T10:00:00+00:00"}
    write(PER_CLASS, metadata_of("per_class", 0, "frog", **before, **frog), seed=77)
    return []


def revealing() -> list[str]:
    write_set(UNIFIED, "unified", architecture=architecture_of(2) | {"rank": 12})
    return []


def claiming() -> list[str]:
    write_set(UNIFIED, "unified", architecture=ON_A_PUBLIC_BASIS, privacy=CLAIM | {"noise_multiplier": 1.9})
    return []


SCENARIOS: dict[str, Callable[[], list[str]]] = {
    "FA001": not_found,
    "FA002": base_name_mismatch,
    "FA003": granularity_mismatch,
    "FA004": node_missing,
    "FA005": class_not_covered,
    "FA006": groups_differ,
    "FA007": encoder_mismatch,
    "FA008": architecture_mismatch,
    "FA009": corrupt,
    "FA010": unsafe,
    "FA011": not_finite,
    "FA012": name_disagrees,
    "FA013": same_weights,
    "FA014": generator_type_mismatch,
    "FA015": round_gap,
    "FA016": dataset_differs,
    "FA017": newer_format,
    "FA018": leftover,
    "FA019": legacy,
    "FA020": collapsed,
    "FA021": stale,
    "FA022": revealing,
    "FA023": claiming,
}
WARNINGS = ("FA015", "FA016", "FA018", "FA019", "FA020", "FA021", "FA022")
