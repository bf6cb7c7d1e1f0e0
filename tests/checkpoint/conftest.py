"""Lets the tests of this folder share the checkpoints that they make."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """`trained(granularity)` is a directory of checkpoints that the small run has really trained."""
    from checkpoint_scenarios import PROFILE_TEXT
    from typer.testing import CliRunner

    from feda2v_cli.cli.main import app

    root = tmp_path_factory.mktemp("trained")
    done: set[str] = set()

    def train(granularity: str) -> Path:
        directory = root / granularity
        if granularity not in done:
            profile = root / f"{granularity}.toml"
            profile.write_text(PROFILE_TEXT.replace("per_class", granularity))
            words = ["train-generators", "--profile", str(profile), "--checkpoint-dir", str(directory)]
            words += ["--rounds", "2", "--epochs", "1", "-s", f"embedding.cache={root / 'cache'}"]
            result = CliRunner().invoke(app, [*words, "-s", f"experiment.runs={root / 'runs'}"])
            assert result.exit_code == 0, result.output
            done.add(granularity)
        return directory

    return train
