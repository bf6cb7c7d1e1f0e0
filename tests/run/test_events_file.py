from pathlib import Path

from feda2v_cli.run.events_file import EventsFile

ROUND = '{"event": "round_ended", "round": 1}\n'


def test_damaged_lines_are_counted_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    damaged = [b'{"event": "rou\n', b"\n", b"\xff\xfe{}\n", b"[1]\n", b'{"event": 7}\n', b"[" * 100_000 + b"\n"]
    path.write_bytes(b"".join([ROUND.encode(), *damaged, ROUND.encode()]))
    events = EventsFile(path)
    assert [event["event"] for event in events] == ["round_ended", "round_ended"]
    assert events.damaged == len(damaged)


def test_a_file_that_is_not_there_holds_no_event(tmp_path: Path) -> None:
    events = EventsFile(tmp_path / "metrics.jsonl")
    assert list(events) == []
    assert events.last(frozenset({"round_ended"})) is None


def test_the_last_event_of_a_long_file_is_found_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(ROUND * 50_000 + '{"event": "round_ended", "round": 2}\n{"event": "noted"}\n{"event": "round_en')
    last = EventsFile(path).last(frozenset({"round_ended"}))
    assert last is not None
    assert last["round"] == 2
