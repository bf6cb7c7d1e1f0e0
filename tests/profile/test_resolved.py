from pathlib import Path

import pytest

from feda2v_cli.profile.load import load_profile
from feda2v_cli.profile.resolved import resolved_toml
from feda2v_cli.profile.shipped import shipped_profiles


@pytest.mark.parametrize("name", sorted(shipped_profiles()))
def test_a_resolved_profile_is_the_same_profile_again(name: str, tmp_path: Path) -> None:
    loaded = load_profile(name, environment={}, settings=["data.root=/some where", "nodes.0.learning_rate=0.5"])
    copy = tmp_path / "resolved.toml"
    copy.write_text(resolved_toml(loaded), encoding="utf-8")

    assert load_profile(str(copy), environment={}).profile == loaded.profile


def test_every_value_says_where_it_came_from() -> None:
    lines = resolved_toml(load_profile("unified", environment={}, settings=["generator.epochs=3"])).splitlines()

    assert "epochs = 3 # --set generator.epochs" in lines
    assert "hidden = 64 # default" in lines
    assert "# root is not set" in lines
    assert any(line.startswith("rounds = 10 # unified:") for line in lines)
