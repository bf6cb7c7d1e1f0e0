import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from patience import SECONDS

from feda2v_cli.errors import MissingError
from feda2v_cli.profile.schema import Profile, TrackingSection
from feda2v_cli.run.event import (
    EpochEnded,
    Evaluated,
    Event,
    FederationRoundEnded,
    Noted,
    PicturesScored,
    RoundEnded,
    Warned,
    ignore_event,
)
from feda2v_cli.run.trackers import registry
from feda2v_cli.run.trackers.registry import TRACKERS, TrackerKind, require_trackers, tracked
from feda2v_cli.run.trackers.tracker import curves_of
from feda2v_cli.run.trackers.wandb import mode_of

ROUND = FederationRoundEnded(
    "chosen", 3, 10, [0, 1], [], 12, 1.5, {"clip": 0.5, "t5": 0.7}, {"0": {"clip": 0.4}, "1": {"clip": 0.6}}
)
EVALUATION = Evaluated("chosen", 3, 10, 0.75, {"0": 0.5, "1": None}, {"clip": 0.6})


def a_profile(*trackers: str, **tracking: Any) -> Profile:
    section = {"trackers": trackers, **tracking}
    return Profile.model_validate({"tracking": section, "nodes": [{"id": 0, "classes": ["dog"]}]})


@pytest.fixture
def no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def test_a_round_of_a_federation_draws_the_losses_of_its_nodes() -> None:
    assert curves_of(ROUND) == (
        3,
        {
            "train/loss_clip": 0.5,
            "train/loss_t5": 0.7,
            "train/node0/loss_clip": 0.4,
            "train/node1/loss_clip": 0.6,
            "train/nodes": 2,
            "train/seconds": 1.5,
        },
    )


def test_an_evaluation_draws_accuracies_of_nodes_that_have_clips() -> None:
    points = {"server/accuracy": 0.75, "server/loss_clip": 0.6, "server/node0/accuracy": 0.5}
    assert curves_of(EVALUATION) == (3, points)


def test_curves_of_a_baseline_stand_behind_its_name() -> None:
    drawn = curves_of(Evaluated("baseline fedavg", 5, 10, 0.5, {}, {}))
    assert drawn == (5, {"baseline fedavg/server/accuracy": 0.5})


def test_a_round_of_generators_draws_each_of_them() -> None:
    ended = RoundEnded(2, 5, 1, 1, 0.5, {"node 0": {"loss": 1.0}, "node 1 sea_waves": {"loss": 2.0, "kl": 3.0}})
    points = {"train/node0/loss": 1.0, "train/node1/sea_waves/loss": 2.0, "train/node1/sea_waves/kl": 3.0}
    assert curves_of(ended) == (2, points)


def test_scores_of_pictures_are_numbers_by_their_place() -> None:
    scored = PicturesScored(5, {"server": {"clip": 0.3, "note": "few"}, "recall": 0.5})
    assert curves_of(scored) == (5, {"images/server/clip": 0.3, "images/recall": 0.5})
    assert curves_of(PicturesScored(None, {"recall": 0.5})) is None


@pytest.mark.parametrize("event", [EpochEnded(1, 2, 3, 4), Noted("something")])
def test_other_events_draw_nothing(event: Event) -> None:
    assert curves_of(event) is None


def test_tensorboard_opens_what_was_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    told: list[Event] = []
    with tracked(a_profile("tensorboard"), tmp_path, told.append) as emit:
        emit(ROUND)
        emit(EVALUATION)

    read = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(point.step, round(point.value, 3)) for point in read.Scalars("train/node0/loss_clip")] == [(3, 0.4)]
    assert [(point.step, point.value) for point in read.Scalars("server/accuracy")] == [(3, 0.75)]
    assert told[0] == Noted(f"curves: tensorboard --logdir {tmp_path / 'tensorboard'}")


#: Keeps two rounds as Weights & Biases does, in a process of its own: its service ends with it.
OFFLINE = """
import sys
from pathlib import Path
from feda2v_cli.profile.schema import Profile
from feda2v_cli.run.event import Evaluated
from feda2v_cli.run.trackers.registry import tracked
section = {"trackers": ["wandb"], "project": "sounds", "entity": "us"}
profile = Profile.model_validate({"tracking": section, "nodes": [{"id": 0, "classes": ["dog"]}]})
def listen(event):
    if hasattr(event, "text"):
        print(event.text, file=sys.stderr)
with tracked(profile, Path(sys.argv[1]), listen) as emit:
    for number in (5, 10):
        emit(Evaluated("chosen", number, 10, number / 20, {}, {}))
"""


@pytest.mark.usefixtures("no_key")
def test_wandb_opens_what_was_kept_offline_without_a_key(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(tmp_path)], capture_output=True, text=True, timeout=SECONDS
    )

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr.strip() == (f"curves are kept for Weights & Biases: wandb sync {tmp_path}/wandb/offline-run-*")
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    run, history = read_wandb(file)
    assert (run.project, run.entity, run.display_name) == ("sounds", "us", tmp_path.name)
    assert history == [{"round": "5", "server/accuracy": "0.25"}, {"round": "10", "server/accuracy": "0.5"}]


def read_wandb(file: Path) -> tuple[Any, list[dict[str, str]]]:
    """The run and its points, parsed by wandb's own messages."""
    from wandb.proto import wandb_internal_pb2

    run, history = None, []
    for data in log_records(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "run":
            run = record.run
        if record.WhichOneof("record_type") == "history":
            items = {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
            history.append({name: value for name, value in items.items() if not name.startswith("_")})
    return run, history


def log_records(content: bytes) -> Iterator[bytes]:
    """The records of a log of LevelDB, in which wandb keeps its messages behind a header of seven bytes.

    https://github.com/google/leveldb/blob/main/doc/log_format.md
    """
    place, record = 7, b""
    while place + 7 <= len(content):
        left_in_block = 32768 - place % 32768
        if left_in_block < 7:
            place += left_in_block
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        record += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a full record, or the last part of one
            yield record
            record = b""


class _Failing:
    """A tracker that fails when it draws."""

    description = "curves: nowhere"

    def __init__(self, *_: object) -> None:
        self.drawn = 0

    def log(self, round_number: int, curves: Mapping[str, float]) -> None:  # noqa: ARG002
        raise struct.error("the service is gone\nfor good")

    def finish(self, *, well: bool) -> None:  # noqa: ARG002
        raise AssertionError("it has failed before")


class _NotStarting(_Failing):
    def __init__(self, *_: object) -> None:
        raise ConnectionError("nobody answers")


@pytest.mark.parametrize(("kind", "reason"), [(_Failing, "the service is gone"), (_NotStarting, "nobody answers")])
def test_a_tracker_that_fails_says_so_once_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[_Failing], reason: str
) -> None:
    monkeypatch.setitem(TRACKERS, "wandb", TrackerKind("wandb", lambda _: None, kind))
    told: list[Event] = []

    with tracked(a_profile("wandb"), tmp_path, told.append) as emit:
        emit(ROUND)
        emit(EVALUATION)

    warned = [event for event in told if isinstance(event, Warned)]
    assert warned == [Warned(f"wandb tracks this run no longer, which goes on: {reason}")]
    assert told[-1] == EVALUATION


@pytest.mark.parametrize("well", [True, False])
def test_a_tracker_is_told_how_the_run_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, well: bool) -> None:
    ended: list[bool] = []

    class Kept(_Failing):
        def finish(self, *, well: bool) -> None:
            ended.append(well)

    monkeypatch.setitem(TRACKERS, "wandb", TrackerKind("wandb", lambda _: None, Kept))

    def run() -> None:
        with tracked(a_profile("wandb"), tmp_path, ignore_event):
            if not well:
                raise KeyboardInterrupt

    if well:
        run()
    else:
        with pytest.raises(KeyboardInterrupt):
            run()
    assert ended == [well]


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_tracker_that_is_not_installed_is_told_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda _: None)

    with pytest.raises(MissingError, match=f"the package {name} is not installed") as caught:
        require_trackers(TrackingSection(trackers=(name,)))
    assert caught.value.hint == f"pip install 'feda2v[{name}]'"


@pytest.mark.usefixtures("no_key")
def test_going_online_without_a_key_is_refused_before_the_service_asks() -> None:
    pytest.importorskip("wandb")
    with pytest.raises(MissingError, match="there is no key"):
        require_trackers(TrackingSection(trackers=("wandb",), mode="online"))


@pytest.mark.usefixtures("no_key")
def test_without_a_key_runs_are_kept_offline_and_with_one_they_go_online(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("wandb")
    assert mode_of(TrackingSection()) == "offline"
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password key\n")
    assert mode_of(TrackingSection()) == "online"
    assert mode_of(TrackingSection(mode="offline")) == "offline"
    (tmp_path / "netrc").unlink()
    monkeypatch.setenv("WANDB_API_KEY", "key")
    assert mode_of(TrackingSection()) == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert mode_of(TrackingSection()) == "offline"
