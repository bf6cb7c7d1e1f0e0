"""With what a run was made: versions, machine and commit."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from feda2v_cli import __version__


def provenance() -> dict[str, Any]:
    """Versions of this package and of what it computes with, and the commit when it runs from a checkout."""
    return {
        "versions": {
            "feda2v": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "torchaudio", "numpy")},
        },
        "platform": platform.platform(),
        "commit": _commit(),
    }


def _commit() -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(Path(__file__).parents[2]), "rev-parse", "--verify", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        )
    except (OSError, subprocess.SubprocessError):
        return None  # installed from a wheel, or no git here
    return answer.stdout.strip()
