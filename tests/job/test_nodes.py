from pathlib import Path

import pytest

from feda2v_cli.job.evaluate.run import evaluate
from feda2v_cli.job.train_generators.run import train_generators
from feda2v_cli.profile.load import load_profile
from feda2v_cli.run.event import Event, Warned


def test_evaluating_tells_of_a_cache_entry_that_was_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = ["generator.rounds=1", "generator.epochs=1", "checkpoint.every=0", "embedding.cache='cache'"]
    train_generators(load_profile("unified", settings=[*settings, 'nodes=[{id=0, classes=["dog", "cow"]}]']))
    (victim,) = Path("cache").glob("*/embeddings.bin")
    content = bytearray(victim.read_bytes())
    content[1_000] ^= 1
    victim.write_bytes(content)
    monkeypatch.setenv("FEDA2V_EMBEDDING_CACHE", str(tmp_path / "cache"))
    heard: list[Event] = []
    evaluate("checkpoints/generators", draws=2, listener=heard.append)
    assert any("embeddings.bin, entry 0 was damaged" in event.text for event in heard if isinstance(event, Warned))
