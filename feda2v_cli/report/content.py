"""What is known of a run, read once."""

from collections.abc import Sequence
from dataclasses import dataclass

from feda2v_cli.report.history import History
from feda2v_cli.report.result import Result, result_of
from feda2v_cli.report.settings import Setting, settings_of
from feda2v_cli.run.record import RunRecord


@dataclass(frozen=True)
class RunContent:
    """A run, its history and its profile.

    Attributes:
        record: of its directory.
        history: what happened.
        result: what it has come to.
        settings: every value of its profile; None when they cannot be read.
        inner: runs that it has made.
        with_audio: whether its clips may stand in the page.
    """

    record: RunRecord
    history: History
    result: Result
    settings: Sequence[Setting] | None
    inner: "Sequence[RunContent]"
    with_audio: bool

    @classmethod
    def of(cls, record: RunRecord, *, with_audio: bool) -> "RunContent":
        """Read a run and those within it.

        Raises:
            FailedError: its events are there and cannot be read.
        """
        return cls(
            record,
            History.of(record),
            result_of(record),
            settings_of(record),
            [cls.of(inner, with_audio=with_audio) for inner in record.inner],
            with_audio,
        )

    def value(self, key: str) -> object:
        """A value of its profile; None when it is not set."""
        return next((setting.value for setting in self.settings or () if setting.key == key), None)
