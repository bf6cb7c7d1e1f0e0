"""Trainings of generators that take seconds, and what they leave in a directory."""

from pathlib import Path

import torch

from feda2v_cli.job.train_generators.run import TrainedGenerators, train_generators
from feda2v_cli.profile.load import LoadedProfile, load_profile

QUICK = ("generator.rounds=2", "generator.epochs=1", "checkpoint.every=0")


def loaded(profile: str, *settings: str) -> LoadedProfile:
    return load_profile(profile, settings=[*QUICK, *settings])


def trained(profile: str, *settings: str, **options: object) -> TrainedGenerators:
    return train_generators(loaded(profile, *settings), **options)  # type: ignore[arg-type]


def names(directory: str) -> list[str]:
    return sorted(path.name for path in Path(directory).iterdir())


def tensors(directory: str) -> dict[str, torch.Tensor]:
    return {
        f"{path.name} {name}": value
        for path in sorted(Path(directory).glob("*.pt"))
        for name, value in torch.load(path, weights_only=True)["generator_state_dict"].items()
    }
