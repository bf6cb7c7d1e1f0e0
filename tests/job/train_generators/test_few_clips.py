"""Data sets with classes of hardly a clip: what is wrong is told before anything is trained."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from feda2v_cli.errors import FailedError
from feda2v_cli.job.train_generators.plan import plan_generators
from feda2v_cli.job.train_generators.run import train_generators
from feda2v_cli.profile.load import LoadedProfile, load_profile
from feda2v_cli.run.event import EpochEnded, Event, Warned

PROFILE = """
[generator]
granularity = "{granularity}"
rounds = 1
epochs = 1
fewest_clips = 1
[embedding]
cache = "cache"
[data]
root = "data"
train_folds = [1]
test_folds = [5]
[[nodes]]
id = 0
classes = {classes}
"""


@pytest.fixture(autouse=True)
def _few_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes of one clip, of two, of six that are equal, and of eight."""
    monkeypatch.chdir(tmp_path)
    Path("data/meta").mkdir(parents=True)
    Path("data/audio").mkdir()
    random = np.random.default_rng(0)
    with Path("data/meta/esc50.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["filename", "fold", "target", "category", "esc10", "src_file", "take"])
        for target, (name, count) in enumerate({"one": 1, "two": 2, "same": 6, "many": 8}.items()):
            for take in range(count):
                if name != "same" or take == 0:
                    sound = 0.1 * random.normal(size=8000)
                filename = f"1-{100 + take}-A-{target}.wav"
                soundfile.write(f"data/audio/{filename}", sound, 16_000)
                table.writerow([filename, 1, target, name, "False", 100 + take, "A"])


def profile_of(granularity: str, *classes: str, settings: tuple[str, ...] = ()) -> LoadedProfile:
    Path("p.toml").write_text(PROFILE.format(granularity=granularity, classes=list(classes)).replace("'", '"'))
    return load_profile("p.toml", settings=settings, environment={})


def test_a_class_of_few_clips_is_refused_because_its_generator_would_tell_them() -> None:
    with pytest.raises(FailedError, match=r"at least 8 clips, generator\.fewest_clips") as caught:
        plan_generators(profile_of("unified", "same", "many", settings=("generator.fewest_clips=8",)))
    assert "node 0: class same has 6 clips that train: folds 1, with 5 held out" in str(caught.value)
    assert "many" not in str(caught.value)
    assert "generator.fewest_clips=1" in str(caught.value.hint)


def test_a_generator_of_one_clip_is_refused_with_what_to_do() -> None:
    with pytest.raises(FailedError) as caught:
        plan_generators(profile_of("per_class", "one", "many"))
    assert "node 0 one has 1 that train: folds 1, with 5 held out" in str(caught.value)
    assert "train_classes" in str(caught.value.hint)


@pytest.mark.parametrize("projection", ["pca", "none"])
@pytest.mark.parametrize("kind", ["vae", "gaussian"])
def test_a_generator_of_equal_clips_is_refused_before_any_is_trained(kind: str, projection: str) -> None:
    settings = (f"generator.type={kind}", f"generator.projection={projection}")
    heard: list[Event] = []
    with pytest.raises(FailedError) as caught:
        train_generators(profile_of("per_class", "many", "same", settings=settings), listener=heard.append)
    assert "node 0 same has 6 clips, none different from another" in str(caught.value)
    assert "train_classes" in str(caught.value.hint)
    assert not any(isinstance(event, EpochEnded) for event in heard)
    assert not list(Path("checkpoints").rglob("*.pt"))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("one", "node 0: class one has 1 clip: its samples will spread around it as those of the other classes do"),
        ("two", "node 0: class two has 2 clips: its samples will lie around the line through them"),
        ("same", "node 0: class same has 6 clips that do not differ: its samples will lie around that clip"),
    ],
)
def test_what_samples_of_a_class_of_hardly_a_clip_will_be_is_told_before_training(name: str, told: str) -> None:
    heard: list[Event] = []
    train_generators(profile_of("unified", name, "many"), listener=heard.append)
    before = heard[: next(place for place, event in enumerate(heard) if isinstance(event, EpochEnded))]
    warnings = [event.text for event in before if isinstance(event, Warned)]
    assert [warning.split("; ")[0] for warning in warnings] == [told]
    assert "train_classes" in warnings[0]


def test_classes_of_many_clips_are_no_matter_for_a_warning() -> None:
    heard: list[Event] = []
    train_generators(profile_of("per_class", "many"), listener=heard.append)
    assert not any(isinstance(event, Warned) for event in heard)


def test_a_generator_that_no_memory_holds_is_refused_before_anything_is_read() -> None:
    with pytest.raises(FailedError, match=r"alone needs about [0-9.]+ GB of memory, and [0-9.]+ GB are free") as caught:
        plan_generators(profile_of("per_class", "many", settings=("generator.hidden=65536",)))
    assert "generator.hidden" in str(caught.value.hint)
