"""docs/command-line.md is what the commands are, and its fields are those that they print."""

import json
from pathlib import Path
from typing import Any

import pytest
from audio_pictures import make_gallery
from tiny_pipelines import tiny_clip, tiny_sentence_encoder
from typer.testing import CliRunner

from feda2v_cli.cli.main import app
from feda2v_cli.cli.page import DATA, commands, page

DOCS = Path(__file__).parents[2] / "docs" / "command-line.md"
CONFIGURATION = Path(__file__).parents[1] / "legacy/config/configs/a2v_generator_training_per_group.json"

NODES = ("-s", 'nodes=[{id=0, classes=["dog", "rain"]}, {id=1, classes=["siren", "crickets"]}]')
TRAIN = ("train-generators", *NODES, "-s", "generator.type=gaussian", "-s", "checkpoint.every=0")
FEDERATE = ("federate", *NODES, "--rounds", "1", "--local-epochs", "1", "--baselines")
SENTENCES = ("-s", "adapter.targets=sentences")
COMPARE = ("compare", *NODES, "-s", "generator.type=gaussian", "-s", "federation.local_epochs=1", "--rounds", "1")
GROUPS = ("-s", 'generator.groups={animals=["dog", "crickets"], others=["rain", "siren"]}')

#: In this order: what a command reads, one before it has written.
COMMAND_LINES = {
    "train-generators --dry-run": (*TRAIN, "--dry-run"),
    "train-generators": TRAIN,
    "checkpoints ls": ("checkpoints", "ls"),
    "checkpoints verify": ("checkpoints", "verify", "--nodes", "7"),
    "checkpoints verify --explain": ("checkpoints", "verify", "--explain", "FA001"),
    "federate --dry-run": (*FEDERATE, "--dry-run"),
    "federate": (*FEDERATE, *SENTENCES),
    "targets": ("targets", *NODES, *SENTENCES),
    "images": ("images", *NODES, "--gallery", "gallery", "--score", "clip"),
    "evaluate": ("evaluate", "--seeds", "2"),
    "audit": ("audit",),
    "compare": (*COMPARE, *GROUPS, "--no-picture"),
    "report": ("report",),
    "runs ls": ("runs", "ls"),
    "runs show": ("runs", "show", "old"),
    "runs rm": ("runs", "rm", "old", "--yes"),
    "convert-config": ("convert-config", str(CONFIGURATION), "-o", "new.toml"),
    "profiles ls": ("profiles", "ls"),
    "profiles show": ("profiles", "show", "unified"),
    "profiles check": ("profiles", "check", "unified"),
    "profiles partition": ("profiles", "partition", "--nodes", "2", "-o", "parts.toml"),
}

#: They need the extra flower, or run until they are ended: tests/flower.
ELSEWHERE = {"flower keys", "flower server", "flower node"}


def fields(value: Any, path: str = "") -> set[str]:
    """Paths of everything that a JSON value holds, as the page writes them."""
    if isinstance(value, dict) and value:
        named = {"<node>" if key.isdecimal() else key: inner for key, inner in value.items()}
        return set().union(*(fields(inner, f"{path}.{key}".lstrip(".")) for key, inner in named.items()))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return set().union(*(fields(inner, f"{path}[]") for inner in value))
    return {path}


def is_within(field: str, place: str) -> bool:
    return field == place or field.startswith((f"{place}.", f"{place}["))


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The fields of `data` that every command really prints."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("commands"))
        Path("old").mkdir()
        Path("old/run.json").write_text('{"status": "failed"}')
        tiny_sentence_encoder(Path("sentences"))
        tiny_clip(Path("clip"))
        make_gallery(Path("gallery"))
        for name, words in COMMAND_LINES.items():
            done = CliRunner().invoke(app, [*words, "--json"])
            found[name] = fields(json.loads(done.stdout)["data"])
    return found


def test_the_page_is_made_from_the_commands() -> None:
    assert DOCS.read_text(encoding="utf-8") == page(), (
        "make it again: python -m feda2v_cli.cli.page > docs/command-line.md"
    )


def test_the_page_tells_the_fields_of_every_command() -> None:
    assert {name.partition(" --")[0] for name in DATA} == {name for name, _ in commands()}
    assert DATA.keys() == COMMAND_LINES.keys() | ELSEWHERE


def test_every_field_of_the_page_is_printed(printed: dict[str, set[str]]) -> None:
    told = {(name, field) for name, of_command in DATA.items() if name not in ELSEWHERE for field in of_command}
    assert [one for one in sorted(told) if not any(is_within(field, one[1]) for field in printed[one[0]])] == []


def test_every_field_that_is_printed_is_on_the_page(printed: dict[str, set[str]]) -> None:
    there = {(name, field) for name, of_command in printed.items() for field in of_command}
    assert [one for one in sorted(there) if not any(is_within(one[1], place) for place in DATA[one[0]])] == []
