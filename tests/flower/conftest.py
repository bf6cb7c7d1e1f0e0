"""What the tests of a worker share: generators that RUN 1 has trained, keys, a server and its nodes."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from flower_places import PROFILE, Place, run

# Flower caps what other packages may be: these tests run apart, with the extra `flower`, by `pytest -m flower`.
# What a letter may have is known without it.
collect_ignore = (
    []
    if find_spec("flwr")
    else [path.name for path in Path(__file__).parent.glob("test_*.py") if path.name != "test_letter.py"]
)


@pytest.fixture(scope="session")
def trained_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a profile, generators of both nodes, and keys."""
    from feda2v_cli.flower.keys import make_keys

    place = tmp_path_factory.mktemp("flower")
    (place / "node.toml").write_text(PROFILE)
    done = run(place, "train-generators", "-p", "node.toml", "-q")
    assert done.returncode == 0, done.stderr
    make_keys(place / "keys", ["localhost"], range(2))
    return place


@pytest.fixture(scope="session")
def served(trained_place: Path) -> Iterator[Place]:
    """A server with both nodes connected."""
    from feda2v_cli.flower.process import free_port

    place = Place(trained_place, free_port())
    try:
        place.start_server()
        place.wait_for("server", "serving 2 nodes")
        place.start_node(0)
        place.start_node(1)
        place.wait_for("server", "node 0 is there")
        place.wait_for("server", "node 1 is there")
        yield place
    finally:
        place.stop_all()


@pytest.fixture
def place(served: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The same, as the working directory."""
    monkeypatch.chdir(served.path)
    return served
