"""docs/checkpoint-format.md: its tables are those of the code, and its examples read what the package writes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from checkpoint_samples import metadata_of, write, write_adapters
from checkpoint_scenarios import flip_bit
from patience import SECONDS

from feda2v_cli.verifier.format_page import with_tables

PAGE = Path(__file__).parents[2] / "docs" / "checkpoint-format.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
NAMED = "checkpoints/generators/vae_unified_node0.pt"
#: What the examples have read without PyTorch is what PyTorch loads, and nobody asked the package.
_COMPARE = """
import sys

assert not [name for name in sys.modules if name.startswith("feda2v_cli")]
assert metadata == header["metadata"]
assert state.keys() == content[header["kind"] + "_state_dict"].keys()
for name, (elements, shape, stride) in content[header["kind"] + "_state_dict"].items():
    read = torch.tensor(elements.tolist(), dtype=state[name].dtype).as_strided(shape, stride)
    assert torch.equal(read, state[name]), name
"""


def follow(path: Path, *examples: str) -> "subprocess.CompletedProcess[str]":
    """Run examples of the page, one after the other, on a file."""
    script = "\n".join(examples).replace(NAMED, str(path))
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=SECONDS
    )


def test_its_tables_are_made_from_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_tables(page), (
        "make them again: python -m feda2v_cli.verifier.format_page docs/checkpoint-format.md"
    )


def test_its_examples_read_a_generator_without_the_package(tmp_path: Path) -> None:
    result = follow(write(tmp_path, metadata_of("unified")), *EXAMPLES, _COMPARE)
    assert result.stderr == ""
    assert result.stdout.startswith("generator ['dog', 'cow']\n")


def test_its_examples_read_adapters_without_the_package(tmp_path: Path) -> None:
    result = follow(write_adapters(tmp_path), *[text.replace("generator_classes", "classes") for text in EXAMPLES])
    assert result.stderr == ""
    assert result.stdout.startswith("adapter ['cow', 'dog']\n")


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9, 0.999])
def test_its_example_finds_a_flipped_bit(tmp_path: Path, share: float) -> None:
    path = write(tmp_path, metadata_of("unified"))
    flip_bit(path, int(share * path.stat().st_size))
    result = follow(path, EXAMPLES[0])
    assert result.returncode == 1
    assert "is damaged" in result.stderr or "zipfile" in result.stderr


def test_its_example_refuses_a_pickle_that_asks_for_more(tmp_path: Path) -> None:
    forged = 'records = {"data.pkl": b"cos\\nsystem\\n(Vtouch trace\\ntR."}\n'
    result = follow(tmp_path / "absent.pt", forged, EXAMPLES[1])
    assert "the pickle asks for os.system" in result.stderr
