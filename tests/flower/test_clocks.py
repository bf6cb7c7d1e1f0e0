"""What is said when a node's clock and the server's differ."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flower_places import Place

from feda2v_cli.errors import FailedError
from feda2v_cli.flower.health import seconds_ahead
from feda2v_cli.flower.keys import Keys
from feda2v_cli.job.flower import serve

pytestmark = pytest.mark.flower


def test_a_server_tells_its_time(served: Place) -> None:
    ahead = seconds_ahead(served.address, Keys(served.path / "keys"))
    assert ahead is not None
    assert abs(ahead) < 60
    assert seconds_ahead("127.0.0.1:1", Keys(served.path / "keys")) is None


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (12.3, "the clock of this machine is 12 s ahead of that of lab:9000"),
        (-400.0, "the clock of this machine is 400 s behind that of lab:9000"),
        (1.0, "lab:9000 does not know node 3 by the key in keys"),
        (None, "lab:9000 does not know node 3 by the key in keys"),
    ],
)
def test_a_node_that_is_refused_for_its_clock_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: float | None, said: str
) -> None:
    process: Any = SimpleNamespace(log=tmp_path / "node.log")
    process.log.write_text("Failed to initialize the connection to the SuperLink.")
    monkeypatch.setattr(serve, "seconds_ahead", lambda *_: ahead)
    with pytest.raises(FailedError) as raised:
        serve._explain(process, "lab:9000", Path("keys"), 3)
    assert raised.value.title == said
