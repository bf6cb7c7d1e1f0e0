"""Granularities and types of generators by name, and what the files of each granularity are called.

They stand apart from the schema, so that what reads file names alone does not import pydantic.
"""

from pathlib import Path
from typing import Literal

#: How classes map to generators: one for all classes of a node, one for each class, one for each named group.
Granularity = Literal["unified", "per_class", "per_group"]

#: Every type is a file of `generator` and a line of its registry.
GeneratorTypeName = Literal["vae", "gaussian"]

#: The seed's base name and directory of each granularity.
BASE_NAMES: dict[Granularity, str] = {"unified": "vae_unified", "per_class": "vae_perclass", "per_group": "vae_group"}
GENERATOR_DIRS: dict[Granularity, Path] = {
    "unified": Path("checkpoints/generators"),
    "per_class": Path("checkpoints/generators_per_class"),
    "per_group": Path("checkpoints/generators_per_group"),
}
