from pathlib import Path

import pytest

from feda2v_cli.legacy.config.convert import convert
from feda2v_cli.legacy.config.read import read_file
from feda2v_cli.legacy.config.write import commands, profile_text
from feda2v_cli.profile.load import load_profile
from feda2v_cli.profile.schema import Profile

CONFIGS = Path(__file__).with_name("configs")
TRAINING = {
    "a2v_generator_training_mode": "unified",
    "a2v_generator_training_per_class": "per_class",
    "a2v_generator_training_per_group": "per_group",
}
SHIPPED = TRAINING | {"a2v_use_pretrained_generators": "use_pretrained"}


def renamed(profile: Profile, name: str) -> Profile:
    return profile.model_copy(update={"experiment": profile.experiment.model_copy(update={"name": name})})


#: What the earlier system took where the seed's configuration for RUN 2 is silent, and its average without weights.
EARLIER = {"adapter": {"clip_learning_rate": 1e-4, "schedule": "constant", "t5_weight_decay": 1e-3}}
UNWEIGHTED = {"federation": {"weighting": "equal"}}


@pytest.mark.parametrize(("config", "shipped"), SHIPPED.items())
def test_every_configuration_of_the_seed_becomes_the_shipped_profile(config: str, shipped: str, tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    path.write_text(profile_text(convert(read_file(CONFIGS / f"{config}.json"), strict=True), "new.toml"))
    wanted = load_profile(shipped, environment={}).profile
    for section, keys in (EARLIER | UNWEIGHTED if shipped == "use_pretrained" else {}).items():
        wanted = wanted.model_copy(update={section: getattr(wanted, section).model_copy(update=keys)})

    assert renamed(load_profile(str(path), environment={}).profile, shipped) == wanted


@pytest.mark.parametrize("config", TRAINING)
def test_a_training_configuration_runs_with_train_generators(config: str) -> None:
    conversion = convert(read_file(CONFIGS / f"{config}.json"))

    assert commands(conversion, "new.toml") == ("feda2v train-generators -p new.toml --data-root DIR",)


def test_the_configuration_with_pretrained_generators_runs_with_federate() -> None:
    conversion = convert(read_file(CONFIGS / "a2v_use_pretrained_generators.json"))

    assert commands(conversion, "new.toml") == ("feda2v federate -p new.toml --data-root DIR",)


@pytest.mark.parametrize(
    ("granularity", "directory", "base_name"),
    [
        ("per_class", "checkpoints/generators_per_class", "vae_perclass"),
        ("per_group", "checkpoints/generators_per_group", "vae_group"),
    ],
)
def test_the_seeds_edits_between_the_runs_become_a_granularity(
    granularity: str,
    directory: str,
    base_name: str,
    converted,  # type: ignore[no-untyped-def]
) -> None:
    text = (CONFIGS / "a2v_use_pretrained_generators.json").read_text()
    groups = '"generator_class_groups": {"a": ["dog", "rooster", "pig", "cow", "frog"]},\n'
    text = text.replace('"generator_granularity": "unified"', f'{groups}"generator_granularity": "{granularity}"')
    text = text.replace('"checkpoints/generators"', f'"{directory}"').replace('"vae_unified"', f'"{base_name}"')

    profile = converted(text).profile

    assert profile.generator.granularity == granularity
    assert (profile.checkpoint.dir, profile.checkpoint.base_name) == (None, None)
