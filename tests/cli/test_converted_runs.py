"""The profiles that come out of `convert-config` are what the runs accept."""

import json
from pathlib import Path

import pytest

CONFIGS = Path(__file__).parents[1] / "legacy" / "config" / "configs"
RUN_1 = ["a2v_generator_training_mode", "a2v_generator_training_per_class", "a2v_generator_training_per_group"]


@pytest.mark.parametrize("config", RUN_1)
def test_a_converted_configuration_of_run_1_is_accepted(feda2v, config: str) -> None:
    assert feda2v("convert-config", str(CONFIGS / f"{config}.json"), "-o", "new.toml").returncode == 0
    planned = feda2v("train-generators", "-p", "new.toml", "--dry-run", "--json")
    assert planned.returncode == 0, planned.stdout
    assert len(json.loads(planned.stdout)["data"]["generators"]) == {1: 15}.get(RUN_1.index(config), 3)


def test_a_converted_configuration_of_run_2_is_accepted_with_the_generators_of_run_1(feda2v) -> None:
    config = CONFIGS / "a2v_use_pretrained_generators.json"
    assert feda2v("convert-config", str(config), "-o", "new.toml").returncode == 0
    assert feda2v("train-generators", "--rounds", "1", "--epochs", "1").returncode == 0
    planned = feda2v("federate", "-p", "new.toml", "--dry-run", "--json")
    assert planned.returncode == 0, planned.stdout
    assert json.loads(planned.stdout)["status"] == "ok"
