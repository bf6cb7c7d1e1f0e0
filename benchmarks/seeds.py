"""What a seed changes in a benchmark: the random streams, and the fold that is held out."""

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
