"""What benchmarks of quality have in common: what a seed changes, and sounds to test on."""

from collections.abc import Sequence

from feda2v_cli.data.builtin import CLIPS_PER_CLASS, BuiltinClip

FOLDS = (1, 2, 3, 4, 5)


def settings_of_seed(seed: int, place: str) -> list[str]:
    """Settings for a profile: another held-out fold for every seed, and all files in a place."""
    held_out = FOLDS[-1 - seed % len(FOLDS)]
    return [
        f"experiment.seed={seed}",
        f"experiment.runs='{place}/runs'",
        f"data.test_folds=[{held_out}]",
        f"data.train_folds={[fold for fold in FOLDS if fold != held_out]}",
        f"checkpoint.dir='{place}/generators'",
        f"checkpoint.adapter_dir='{place}/adapters'",
        "checkpoint.every=0",
    ]


def sounds_of_no_fold(classes: Sequence[str], per_class: int) -> list[BuiltinClip]:
    """Built-in sounds that no fold holds: as many as it takes to tell close figures apart."""
    takes = range(CLIPS_PER_CLASS, CLIPS_PER_CLASS + per_class)
    return [BuiltinClip(f"{name}-{take}.wav", name, 0, take=take) for name in classes for take in takes]
