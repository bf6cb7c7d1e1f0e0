import pytest
from flower_places import PROFILE

from feda2v_cli.errors import UsageError
from feda2v_cli.job.federate.run import federate
from feda2v_cli.profile.load import load_profile

pytestmark = pytest.mark.flower


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "node.toml").write_text(PROFILE)


def _federate(*settings: str, baselines: bool = False) -> None:
    federate(load_profile("node.toml", settings=["federation.engine=flower", *settings]), baselines=baselines)


def test_baselines_are_refused_for_central_training_needs_all_clips_in_one_place() -> None:
    with pytest.raises(UsageError, match="central training needs all clips in one place") as raised:
        _federate(baselines=True)
    assert "--engine local --baselines" in str(raised.value.hint)


def test_central_training_is_refused() -> None:
    with pytest.raises(UsageError, match="strategy central needs all clips in one place, and engine flower moves none"):
        _federate("federation.strategy=central")


def test_pictures_of_rounds_are_refused_for_clips_are_the_nodes() -> None:
    with pytest.raises(UsageError, match=r"images\.every with engine flower"):
        _federate("images.every=1", "images.gallery=pictures")


def test_a_server_without_keys_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(UsageError, match="--server without --keys"):
        _federate("flower.server='127.0.0.1:9'", "synthetic.per_class=0")
