import os
from pathlib import Path

import pytest

from feda2v_cli.errors import FailedError
from feda2v_cli.federation.disk_room import take_room


@pytest.mark.parametrize("reserves", [True, False])
def test_a_file_is_made_long_enough_and_keeps_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reserves: bool
) -> None:
    if not reserves:  # as on macOS
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    path = tmp_path / "room"
    path.write_bytes(b"held")
    take_room(path, 4096, "this takes 4096 bytes", hint="df -h")
    take_room(path, 10, "this takes 10 bytes", hint="df -h")
    assert path.stat().st_size == 4096
    assert path.read_bytes().startswith(b"held\0")


def test_a_disk_without_room_is_named(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="cannot be written") as caught:
        take_room(tmp_path / "absent" / "room", 10, "this takes 10 bytes", hint="df -h")
    assert caught.value.details == ("this takes 10 bytes",)
