import os
from functools import partial
from pathlib import Path

import comparison_parts as parts
import pytest

from feda2v_cli.errors import FailedError
from feda2v_cli.job.compare.processes import Part, run_parts
from feda2v_cli.run.event import EpochEnded, Event, Noted
from feda2v_cli.verifier.finding import FindingsError


def texts(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Noted)]


def test_events_come_as_if_one_part_had_followed_the_other() -> None:
    events: list[Event] = []
    todo = {"slow": Part(partial(parts.tell, "slow", 1.0)), "quick": Part(partial(parts.tell, "quick", 0.0))}
    results = run_parts(todo, 2, 1, events.append)
    assert texts(events) == ["slow begins", "slow ends", "quick begins", "quick ends"]
    assert len([event for event in events if isinstance(event, EpochEnded)]) == 1  # what had passed is not shown
    assert {name: result[0] for name, result in results.items()} == {"slow": "slow", "quick": "quick"}
    assert len({os.getpid(), *(process for _, process in results.values())}) == 3


def test_no_more_parts_than_wanted_are_done_at_once(tmp_path: Path) -> None:
    names = ["one", "two", "three"]
    run_parts({name: Part(partial(parts.note_time, tmp_path, name)) for name in names}, 1, 1, lambda _: None)
    times = [tuple(map(float, (tmp_path / name).read_text().split())) for name in names]
    assert times[0][1] <= times[1][0] <= times[1][1] <= times[2][0]


def test_a_part_waits_for_the_one_that_it_comes_after(tmp_path: Path) -> None:
    todo = {
        "train": Part(partial(parts.note_time, tmp_path, "train")),
        "evaluate": Part(partial(parts.note_time, tmp_path, "evaluate"), after="train"),
    }
    run_parts(todo, 2, 1, lambda _: None)
    assert (tmp_path / "train").read_text().split()[1] <= (tmp_path / "evaluate").read_text().split()[0]


def test_what_a_part_raises_is_raised_as_it_was_and_ends_the_others(tmp_path: Path) -> None:
    events: list[Event] = []
    todo = {
        "lingers": Part(partial(parts.linger, tmp_path)),
        "refuses": Part(partial(parts.refuse_beside, tmp_path)),
    }
    with pytest.raises(FindingsError) as refused:
        run_parts(todo, 2, 1, events.append)
    assert (refused.value.code, refused.value.hint) == ("FA009", "feda2v train-generators")
    assert texts(events) == ["about to refuse"]  # what led to it is told, though its turn had not come
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_part_whose_process_is_killed_is_named() -> None:
    with pytest.raises(FailedError, match="trains: its process was ended by signal 9"):
        run_parts({"trains": Part(parts.be_killed)}, 1, 1, lambda _: None)


def test_a_bug_in_a_part_comes_with_the_place_where_it_is() -> None:
    with pytest.raises(RuntimeError, match="KeyError: 'nothing'") as raised:
        run_parts({"forgets": Part(parts.forget)}, 1, 1, lambda _: None)
    assert 'return {}["nothing"]' in raised.value.__notes__[0]
