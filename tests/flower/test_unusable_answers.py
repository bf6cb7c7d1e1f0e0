import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import spoiling_node
from flower_places import ROUNDS, Place

from feda2v_cli.errors import FailedError
from feda2v_cli.run.event import Event, FederationRoundEnded, Warned

pytestmark = pytest.mark.flower

#: Rounds and nothing else.
QUIET = ("federation.evaluate_every=500", "synthetic.per_class=0")


@pytest.fixture(scope="module")
def spoiling(served: Place) -> Iterator[Path]:
    """The directory of a node that stands in for node 1, and spoils what it sends."""
    directory = served.path / "spoiling"
    directory.mkdir()
    with served.server_says("node 1 is gone"):
        served.stop("node1")
    script = str(Path(spoiling_node.__file__))
    words = [sys.executable, script, "node.toml", "1", served.address, "keys", str(directory)]
    with served.server_says("node 1 is there"):
        served.start("spoiling", *words, stdin=subprocess.PIPE)
    yield directory
    served.stop("spoiling")
    served.start_node(1)


def test_a_node_that_sends_what_cannot_be_used_is_named_left_out_and_back(place: Place, spoiling: Path) -> None:
    events: list[Event] = []
    (spoiling / "spoil").write_text(spoiling_node.ARRAYS)
    place.federate("spoiled", *QUIET, "federation.rounds=5", listener=events.append)
    warnings = [event.text for event in events if isinstance(event, Warned) and "left out" in event.text]
    assert [warning.split(":")[0] for warning in warnings] == ["round 2", "round 3", "round 4"]
    for warning, problem in zip(warnings, spoiling_node.SPOILED.values(), strict=True):
        assert "node 1" in warning
        assert problem in warning
    present = [event.present for event in events if isinstance(event, FederationRoundEnded)]
    assert present == [[0, 1], [0], [0], [0], [0, 1]]


def test_a_task_that_was_lost_is_answered_so_that_the_node_is_back(place: Place, spoiling: Path) -> None:
    spoil = spoiling / "spoil"
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        if isinstance(event, FederationRoundEnded):
            spoil.write_text(spoiling_node.LOSE) if event.present == [0, 1] else spoil.unlink()

    place.federate("lost", *QUIET, "federation.rounds=3", listener=listen)
    spoil.unlink()
    (warning,) = [event.text for event in events if isinstance(event, Warned) and "left out" in event.text]
    assert warning.startswith("round 2: node 1 failed")
    present = [event.present for event in events if isinstance(event, FederationRoundEnded)]
    assert present == [[0, 1], [0], [0, 1]]


def test_a_node_that_trains_beyond_the_deadline_is_named_left_out_and_back(place: Place, spoiling: Path) -> None:
    spoil = spoiling / "spoil"
    deadline = ("--set", "federation.deadline=15.0")
    with place.federating("late", *[word for key in QUIET for word in ("--set", key)], *ROUNDS, *deadline) as late:
        late.wait_for(lambda: [0, 1] in late.present())
        spoil.write_text(spoiling_node.WAIT)
        late.wait_for_text("node 1 has not answered within 15 s; it is left out")
        late.wait_for(lambda: [0] in late.present())
        spoil.unlink()
        late.wait_for(late.has_someone_back)


def test_a_generator_that_is_not_sound_stops_the_run_before_anything_is_trained(place: Place, spoiling: Path) -> None:
    (spoiling / "spoil").write_text(spoiling_node.CHECKPOINT)
    with pytest.raises(FailedError, match=r"node 1 sent a checkpoint that is not sound: .* is damaged") as raised:
        place.federate("unsound")
    assert raised.value.details == ("no generator has been used",)
    assert not list((place.path / "unsound").glob("*.pt"))


@pytest.mark.usefixtures("spoiling")
def test_a_node_with_the_key_of_another_node_is_named(place: Place) -> None:
    with place.server_says("node 1 is gone"):
        place.stop("spoiling")
    shutil.copytree(place.path / "keys", place.path / "swapped")
    shutil.copy(place.path / "keys" / "node_1.key", place.path / "swapped" / "node_0.key")
    with place.server_says("node 1 is there"):
        place.start("spoiling", *place.node_words(0, "swapped"))
    with pytest.raises(FailedError) as raised:
        place.federate("swapped_adapters")
    assert any(line.startswith("node 1: its id — it has 0, the federation 1") for line in raised.value.details)
