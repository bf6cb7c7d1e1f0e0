import os
import subprocess
import sys
from pathlib import Path

import pytest
from patience import SECONDS

SAMPLES = Path(__file__).with_name("samples")
IN_A_TEST = "import pytest\ndef test_it(): pytest.importorskip('no_such_package')\n"
IN_A_FIXTURE = (
    "import pytest\n@pytest.fixture\ndef it(): return pytest.importorskip('no_such_package')\ndef test_it(it): pass\n"
)
IN_A_MODULE = "import pytest\npytest.importorskip('no_such_package')\n"
FOR_ANOTHER_REASON = (
    "import pytest\ndef test_it(): pytest.skip('this machine mounts nothing')\ndef test_other(): pass\n"
)


def run_tests(directory: Path, text: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    (directory / "test_it.py").write_text(text)
    path = {"PYTHONPATH": os.pathsep.join([str(SAMPLES), os.environ.get("PYTHONPATH", "")])}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "missing_packages", "-p", "no:cacheprovider", "--rootdir", ".", "-rs"],
        cwd=directory,
        env=os.environ | path | environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


@pytest.mark.parametrize("text", [IN_A_TEST, IN_A_FIXTURE, IN_A_MODULE], ids=["test", "fixture", "module"])
def test_what_lacks_a_package_fails_in_ci(tmp_path: Path, text: str) -> None:
    done = run_tests(tmp_path, text, CI="true")

    assert done.returncode != 0, done.stdout
    assert "could not import 'no_such_package'" in done.stdout
    assert "the test extra of pyproject.toml must name" in done.stdout


def test_what_lacks_a_package_is_skipped_elsewhere(tmp_path: Path) -> None:
    done = run_tests(tmp_path, IN_A_TEST, CI="")

    assert (done.returncode, "1 skipped" in done.stdout) == (0, True)


def test_what_is_skipped_for_another_reason_stays_skipped_in_ci(tmp_path: Path) -> None:
    done = run_tests(tmp_path, FOR_ANOTHER_REASON, CI="true")

    assert (done.returncode, "1 passed, 1 skipped" in done.stdout) == (0, True)
