"""Lets the tests of this folder share the checkpoints that they make."""

import os
import sys
from pathlib import Path

import pytest
from filelock import FileLock

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """`trained(granularity)` is a directory of checkpoints that the small run has really trained."""
    from checkpoint_scenarios import PROFILE_TEXT
    from typer.testing import CliRunner

    from feda2v_cli.cli.main import app

    # The workers of one test run share what one of them has trained.
    shared = tmp_path_factory.getbasetemp()
    root = (shared.parent if os.environ.get("PYTEST_XDIST_WORKER") else shared) / "trained"
    root.mkdir(exist_ok=True)

    def train(granularity: str) -> Path:
        directory = root / granularity
        done = root / f"{granularity}.done"
        with FileLock(root / "lock"):
            if not done.exists():
                profile = root / f"{granularity}.toml"
                profile.write_text(PROFILE_TEXT.replace("per_class", granularity))
                words = ["train-generators", "--profile", str(profile), "--checkpoint-dir", str(directory)]
                words += ["--rounds", "2", "--epochs", "1", "-s", f"embedding.cache={root / 'cache'}"]
                result = CliRunner().invoke(app, [*words, "-s", f"experiment.runs={root / 'runs'}"])
                assert result.exit_code == 0, result.output
                done.touch()
        return directory

    return train
