from pathlib import Path

import pytest
from run_samples import started

from feda2v_cli.profile.load import load_profile
from feda2v_cli.report.settings import changed, differing, settings_of, values_of
from feda2v_cli.run.record import RunRecord


def settings(runs: Path, *own: str):
    found = settings_of(RunRecord.read(started(runs, "federate", settings=own).path))
    assert found is not None
    return found


def test_what_differs_from_the_defaults_is_told_with_its_origin(tmp_path: Path) -> None:
    found = {one.key: one for one in changed(settings(tmp_path, "federation.rounds=7", "adapter.targets='a#b \"c\"'"))}
    assert (found["federation.rounds"].value, found["federation.rounds"].origin) == (7, "--set federation.rounds")
    assert found["adapter.targets"].value == 'a#b "c"'
    assert found["generator.granularity"].origin.startswith("use_pretrained:")
    assert found["nodes.1.classes"].text == "rain, sea_waves, crackling_fire, crickets, chirping_birds"


def test_what_is_set_to_its_default_is_not_told(tmp_path: Path) -> None:
    given = settings(tmp_path, "federation.rounds=50")
    assert "federation.rounds" in {one.key for one in given if one.origin != "default"}
    assert not {"federation.rounds", "embedding.encoder"} & {one.key for one in changed(given)}


def test_every_value_of_the_profile_is_there(tmp_path: Path) -> None:
    profile = load_profile("use_pretrained", environment={}).profile
    values = values_of(settings(tmp_path))
    assert values["federation.rounds"] == profile.federation.rounds
    assert values["data.train_folds"] == list(profile.data.train_folds)
    assert len(values) > 60


def test_runs_differ_in_the_keys_whose_values_differ(tmp_path: Path) -> None:
    one, other = (values_of(settings(tmp_path, f"federation.rounds={n}", "data.test_folds=[5]")) for n in (1, 2))
    assert differing([one, other]) == ["federation.rounds"]


def test_many_nodes_are_counted(tmp_path: Path) -> None:
    nodes = ", ".join(f"{{id={node}, classes=['dog', 'cow']}}" for node in range(40))
    assert values_of(settings(tmp_path, f"nodes=[{nodes}]"))["nodes"] == "40 nodes, 2 classes"


@pytest.mark.parametrize("content", ["[", "a = 1\na = 2", "\x00"])
def test_a_profile_that_cannot_be_read_is_not_known(tmp_path: Path, content: str) -> None:
    run = started(tmp_path, "federate")
    (run.path / "resolved.toml").write_text(content)
    assert settings_of(RunRecord.read(run.path)) is None
    (run.path / "resolved.toml").unlink()
    assert settings_of(RunRecord.read(run.path)) is None
