"""What all tests share: quiet cores, and one cache of embeddings."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

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
            timeout=300,
            stdin=subprocess.DEVNULL,
        )

    return run
