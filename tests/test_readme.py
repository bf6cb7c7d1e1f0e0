"""What README.md shows is what happens: every command of its console blocks is run, and its output compared."""

import os
import re
import subprocess
import sys
from pathlib import Path

from patience import SECONDS

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")


def sessions() -> list[tuple[str, str]]:
    """Command and output of everything in the console blocks, in order."""
    found: list[tuple[str, str]] = []
    for block in re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL):
        for session in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = session.partition("\n")
            found.append((command, output))
    return found


def shape(text: str) -> list[str]:
    """A text without what differs between runs and machines: numbers, and the width of columns."""
    lines = (re.sub(r"\d[\d.,TZ]*", "N", line) for line in text.splitlines())
    return [re.sub(r"\s+", " ", line).strip() for line in lines]


def test_every_command_prints_what_the_readme_shows(tmp_path: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "120"}
    for command, output in sessions():
        done = subprocess.run(
            command,
            shell=True,
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )
        assert shape(done.stdout) == shape(output), command


def test_the_readme_s_python_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    trained = "import feda2v_cli; feda2v_cli.train_generators('per_group', node_ids=[0])\n"
    checked = "\nassert samples.shape == (3, 4, 768)\n"
    subprocess.run([sys.executable, "-c", trained + code + checked], cwd=tmp_path, check=True)


def test_files_that_the_readme_links_to_are_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT)
    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []
