"""A run that was interrupted goes on with the clips and the encoder that it was begun with, or not at all."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from feda2v_cli.embedding import cache
from feda2v_cli.errors import FailedError, RunInterrupted
from feda2v_cli.job.federate.run import federate
from feda2v_cli.job.train_generators.run import train_generators
from feda2v_cli.profile.load import LoadedProfile, load_profile
from feda2v_cli.run.event import Event, FederationRoundEnded, RoundEnded, RunResumed

NODES = 'nodes=[{id=0, classes=["dog", "rain"]}, {id=1, classes=["siren", "crickets"]}]'
#: What each run is called with.
Job = Callable[..., object]


@pytest.fixture
def recordings(esc50: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(esc50, tmp_path / "recordings"))


@pytest.fixture
def profile(recordings: Path, tmp_path: Path) -> LoadedProfile:
    return load_profile(
        "unified",
        settings=[
            NODES,
            f"data.root='{recordings}'",
            "generator.rounds=3",
            "generator.epochs=1",
            "generator.projection='none'",
            "generator.fewest_clips=1",
            "checkpoint.every=0",
            f"experiment.runs='{tmp_path}/runs'",
            f"checkpoint.dir='{tmp_path}/generators'",
            f"checkpoint.adapter_dir='{tmp_path}/adapters'",
            "federation.rounds=3",
            "federation.local_epochs=1",
        ],
    )


def stop_after_a_round(event: Event) -> None:
    if isinstance(event, RoundEnded | FederationRoundEnded):
        raise KeyboardInterrupt


@pytest.fixture(params=["RUN 1", "RUN 2"])
def interrupted(request: pytest.FixtureRequest, profile: LoadedProfile) -> Job:
    """The run, which has been interrupted after its first round."""
    job = train_generators
    if request.param == "RUN 2":
        train_generators(profile)
        job = federate
    with pytest.raises(RunInterrupted):
        job(profile, listener=stop_after_a_round)

    def again(**options: object) -> object:
        return job(profile, **options)

    return again


def drop_a_quarter(recordings: Path) -> str:
    """Take a quarter of the clips out of the metadata; what stood there before."""
    path = recordings / "meta" / "esc50.csv"
    before = path.read_text()
    rows = list(csv.reader(before.splitlines()))
    kept = [row for number, row in enumerate(rows[1:]) if number % 4 or row[1] == "5"]
    path.write_text("\n".join(map(",".join, [rows[0], *kept])) + "\n")
    return before


def files(directory: Path) -> dict[Path, int]:
    return {
        path: path.stat().st_mtime_ns for name in ("generators", "adapters") for path in (directory / name).glob("*.pt")
    }


def test_a_run_whose_clips_are_gone_is_not_resumed_and_says_so(
    interrupted: Job, recordings: Path, tmp_path: Path
) -> None:
    metadata = drop_a_quarter(recordings)
    before = files(tmp_path)
    events: list[Event] = []

    with pytest.raises(FailedError, match="cannot be resumed — its clips or its encoder have changed") as caught:
        interrupted(resume=True, listener=events.append)
    assert "of now are not those" in caught.value.details[0]
    assert (files(tmp_path), events) == (before, [])

    (recordings / "meta" / "esc50.csv").write_text(metadata)
    interrupted(resume=True, listener=events.append)
    assert [event.rounds_done for event in events if isinstance(event, RunResumed)] == [1]


def test_a_run_whose_clips_contain_something_else_is_not_resumed(
    interrupted: Job, recordings: Path, tmp_path: Path
) -> None:
    rows = csv.DictReader((recordings / "meta" / "esc50.csv").read_text().splitlines())
    name = next(row["filename"] for row in rows if row["category"] == "dog")
    clip = recordings / "audio" / name
    samples, rate = soundfile.read(clip)
    soundfile.write(clip, samples[::-1], rate)
    before = files(tmp_path)

    with pytest.raises(FailedError, match=r"1 of its .* clips have changed") as caught:
        interrupted(resume=True)
    assert caught.value.details == (f"the first: {name}",)
    assert files(tmp_path) == before


def test_a_run_whose_sounds_would_be_decoded_otherwise_is_not_resumed(
    interrupted: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_libsndfile", lambda: "99")

    with pytest.raises(FailedError, match="cannot be resumed") as caught:
        interrupted(resume=True)
    assert "of another encoder, or of other versions of what decodes sounds" in caught.value.details[0]


def test_clips_that_were_only_copied_are_the_same_clips(interrupted: Job, recordings: Path) -> None:
    for path in (recordings / "audio").iterdir():
        path.touch()
    events: list[Event] = []

    interrupted(resume=True, listener=events.append)

    assert [event for event in events if isinstance(event, RunResumed)]


def test_a_run_that_is_done_on_other_clips_is_not_called_done(profile: LoadedProfile, recordings: Path) -> None:
    train_generators(profile)
    drop_a_quarter(recordings)

    with pytest.raises(FailedError, match="cannot be resumed — its clips"):
        train_generators(profile, resume=True)
