from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from feda2v_cli.cli import main
from feda2v_cli.cli.federate import FederationOptions
from feda2v_cli.cli.options import ProfileOptions, RunOptions, flags_of, granularity_in, node_ids, takes_options
from feda2v_cli.errors import UsageError


def test_options_that_were_given_become_flags_each_with_its_key() -> None:
    profile = ProfileOptions(profile="mine", data_root=Path("clips"))
    federation = FederationOptions(synthetic_per_class="7", synthetic_use="local, server", rounds=0)
    assert flags_of(profile, federation, RunOptions(seed=0, skip_unreadable=True, dry_run=True)) == {
        "--data-root": ("data.root", "clips"),
        "--synthetic-per-class": ("synthetic.per_class", 7),
        "--synthetic-use": ("synthetic.use", ["local", "server"]),
        "--rounds": ("federation.rounds", 0),
        "--seed": ("experiment.seed", 0),
        "--skip-unreadable": ("data.skip_unreadable", True),
    }


def test_options_that_were_not_given_set_nothing() -> None:
    assert flags_of(ProfileOptions(), FederationOptions(), RunOptions()) == {}


def test_a_group_of_options_reaches_its_command_as_one_value() -> None:
    @dataclass(frozen=True)
    class Size:
        width: Annotated[int, typer.Option("--width", "-w", help="Columns.")] = 3
        tall: Annotated[bool, typer.Option("--tall")] = False

    app = typer.Typer()
    seen = []

    @app.command()
    @takes_options
    def draw(name: str, *, size: Size, colour: str = "red") -> None:
        seen.append((name, size, colour))

    assert CliRunner().invoke(app, ["box", "-w", "5", "--tall", "--colour", "blue"]).exit_code == 0
    assert CliRunner().invoke(app, ["box"]).exit_code == 0
    assert seen == [("box", Size(5, tall=True), "blue"), ("box", Size(), "red")]
    assert "Columns." in CliRunner().invoke(app, ["--help"]).output


def test_node_ids_are_read_once_each() -> None:
    assert node_ids("2, 0,2") == (2, 0)
    assert node_ids(None) is None
    with pytest.raises(UsageError, match="--nodes 1;2 — expected node ids with commas between them"):
        node_ids("1;2")


def test_the_closest_granularity_is_named() -> None:
    assert granularity_in("per_class") == "per_class"
    with pytest.raises(UsageError) as caught:
        granularity_in("per-clas")
    assert caught.value.details == ("did you mean per_class?",)
    assert caught.value.hint == "--granularity per_class"


def test_help_says_once_what_an_argument_is_and_what_is_needed() -> None:
    shown = CliRunner().invoke(main.app, ["runs", "show", "--help"], terminal_width=120).output
    assert shown.count("A directory, or the name of a run or its beginning.  [required]") == 1
    assert "[default: runs]" in shown
    assert "\\" not in shown
