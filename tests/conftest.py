"""What all tests share: quiet cores, one cache of embeddings, and the checkpoints and generators of `samples/`."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from patience import SECONDS

pytest_plugins = ["missing_packages"]

# Tests run side by side: several threads an operation would wait for each other on cores that have other work.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Workers and the processes that tests start share the embeddings of the built-in sounds, and leave the user's alone.
os.environ.setdefault("FEDA2V_EMBEDDING_CACHE", str(Path(tempfile.gettempdir()) / f"feda2v-test-cache-{os.getuid()}"))

FEDA2V = str(Path(sys.executable).with_name("feda2v"))

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def feda2v(tmp_path: Path) -> Run:
    """Run `feda2v` as a user does: a process of its own, in an empty directory."""

    def run(*arguments: str, cwd: Path = tmp_path, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [FEDA2V, *arguments],
            cwd=cwd,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )

    return run


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
