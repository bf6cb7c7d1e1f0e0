import json
from pathlib import Path

QUICK = (
    "--set", 'nodes=[{id=0, classes=["dog", "rain"]}, {id=1, classes=["siren", "crickets"]}]',
    "--set", 'generator.groups={animals=["dog", "crickets"], others=["rain", "siren"]}',
    "--set", "generator.type=gaussian",
    "--set", "federation.local_epochs=1",
    "--rounds", "1",
    "--no-picture",
)  # fmt: skip


def test_the_envelope_holds_a_row_a_granularity_and_what_was_written(feda2v, tmp_path: Path) -> None:
    completed = feda2v("compare", *QUICK, "--json")
    assert completed.returncode == 0, completed.stderr
    data = json.loads(completed.stdout)["data"]
    assert [row["granularity"] for row in data["table"]] == ["unified", "per_class", "per_group"]
    assert data["files"] == ["comparison/comparison.md", "comparison/comparison.json"]
    assert all((tmp_path / name).is_file() for name in data["files"])
    assert "per_group: federating" in completed.stderr
    refused = feda2v("compare", *QUICK)
    assert refused.returncode == 4
    assert "hint: --force overwrites" in refused.stderr
