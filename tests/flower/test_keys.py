import stat
import subprocess
import sys
from pathlib import Path

import pytest

from feda2v_cli.errors import MissingError, OverwriteError, UsageError
from feda2v_cli.flower.keys import AUTHORITY, CERTIFICATE, COMMAND_KEY, Keys, make_keys

pytestmark = pytest.mark.flower


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made") / "keys"
    make_keys(directory, ["lab.example.org", "192.0.2.7"], range(2))
    return directory


def test_no_key_can_be_read_by_others(made: Path) -> None:
    assert {stat.S_IMODE(path.stat().st_mode) for path in made.iterdir()} == {0o600}
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_the_server_s_certificate_is_for_its_names_and_of_the_authority(made: Path) -> None:
    from cryptography import x509

    authority, server = (
        x509.load_pem_x509_certificate((made / name).read_bytes()) for name in (AUTHORITY, CERTIFICATE)
    )
    server.verify_directly_issued_by(authority)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["lab.example.org", "localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7", "127.0.0.1"]


def test_the_authority_can_make_no_other_server(made: Path) -> None:
    assert not any(b"PRIVATE" in path.read_bytes() for path in made.glob("ca*"))


def test_keys_that_are_there_are_not_overwritten(made: Path) -> None:
    before = (made / COMMAND_KEY).read_bytes()
    with pytest.raises(OverwriteError, match="8 keys are there already"):
        make_keys(made, ["localhost"], range(2))
    assert (made / COMMAND_KEY).read_bytes() == before


def test_a_private_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    make_keys(tmp_path, ["localhost"], range(1))
    (tmp_path / COMMAND_KEY).chmod(0o644)
    with pytest.raises(UsageError, match="can be read by others"):
        Keys(tmp_path).file(COMMAND_KEY)


def test_a_key_that_is_not_there_is_named(made: Path) -> None:
    with pytest.raises(MissingError, match=r"node_7\.key is not there"):
        Keys(made).file("node_7.key")


def test_the_command_says_which_file_goes_where(tmp_path: Path) -> None:
    words = ["flower", "keys", "-o", "keys", "--host", "localhost", "--nodes", "2"]
    feda2v = Path(sys.executable).with_name("feda2v")
    done = subprocess.run([feda2v, *words], cwd=tmp_path, capture_output=True, text=True)
    rows = [line.split(maxsplit=2) for line in done.stdout.splitlines() if line.startswith("node ")]
    assert ["node", "0", "ca.crt, node_0.key"] in [[*row[:2], row[2].strip()] for row in rows]
