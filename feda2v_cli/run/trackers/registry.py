"""Which trackers there are, and a run that is tracked by those that its profile names."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from feda2v_cli.errors import MissingError, first_line
from feda2v_cli.profile.schema import Profile, TrackingSection
from feda2v_cli.run.event import Event, Listener, Noted, Warned
from feda2v_cli.run.trackers import tensorboard, wandb
from feda2v_cli.run.trackers.tracker import Tracker, curves_of


@dataclass(frozen=True)
class TrackerKind:
    """A kind of tracker.

    Attributes:
        package: that it needs; the extra of this package has the same name.
        check: refuses a section with which it could not work.
        start: begins to track a run, of which it is given the section, the directory, the name, and all values.
    """

    package: str
    check: Callable[[TrackingSection], None]
    start: Callable[[TrackingSection, Path, str, Mapping[str, Any]], Tracker]


#: By the name that the key `tracking.trackers` has for it.
TRACKERS = {
    "tensorboard": TrackerKind(tensorboard.PACKAGE, tensorboard.check, tensorboard.TensorBoard),
    "wandb": TrackerKind(wandb.PACKAGE, wandb.check, wandb.WandB),
}


def require_trackers(section: TrackingSection) -> None:
    """Fail when a tracker that is asked for cannot work, before anything is done.

    Raises:
        MissingError: its package or its key is not there.
    """
    for name in section.trackers:
        kind = TRACKERS[name]
        if find_spec(kind.package) is None:
            raise MissingError(
                f"tracking.trackers names {name}, and the package {kind.package} is not installed",
                hint=f"pip install 'feda2v[{name}]'",
            )
        kind.check(section)


@contextmanager
def tracked(profile: Profile, directory: Path, listener: Listener) -> Iterator[Listener]:
    """Have the trackers of a profile listen to what happens within.

    Args:
        profile: of the run.
        directory: of the run.
        listener: is told what happens too, and of trackers that fail: none of them stops a run.
    """
    config = profile.model_dump(mode="json")
    trackers = [_Guarded(name, profile.tracking, directory, config, listener) for name in profile.tracking.trackers]

    def emit(event: Event) -> None:
        listener(event)
        for tracker in trackers:
            tracker.log(event)

    well = False
    try:
        yield emit
        well = True
    finally:
        for tracker in trackers:
            tracker.finish(well=well)


class _Guarded:
    """A tracker that says so when it fails, once, and then is silent."""

    def __init__(
        self, name: str, section: TrackingSection, directory: Path, config: Mapping[str, Any], listener: Listener
    ) -> None:
        self._name = name
        self._listener = listener
        self._tracker: Tracker | None = None

        def start() -> None:
            self._tracker = TRACKERS[name].start(section, directory, directory.name, config)
            listener(Noted(self._tracker.description))

        self._attempt(start)

    def log(self, event: Event) -> None:
        """Draw what an event draws."""
        points, tracker = curves_of(event), self._tracker
        if points is not None and tracker is not None:
            self._attempt(lambda: tracker.log(*points))

    def finish(self, *, well: bool) -> None:
        """End it with the run."""
        tracker = self._tracker
        if tracker is not None:
            self._attempt(lambda: tracker.finish(well=well))

    def _attempt(self, what: Callable[[], None]) -> None:
        try:
            what()
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in it, it is not the run's
            self._tracker = None
            self._listener(Warned(f"{self._name} tracks this run no longer, which goes on: {first_line(error)}"))
