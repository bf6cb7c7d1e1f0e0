import json
import resource
import signal
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest
import torch
from checkpoint_samples import metadata_of, state_of, write, write_set

from feda2v_cli.checkpoint.file import load_content, write_checkpoint
from feda2v_cli.checkpoint.metadata import GeneratorMetadata
from feda2v_cli.errors import FailedError
from feda2v_cli.verifier.finding import FindingsError
from feda2v_cli.verifier.single import load_checkpoint, read_metadata


def tensors_in(path):
    """The tensors of a sound file, whatever its architecture says."""
    return load_content(path, GeneratorMetadata)[1]


def test_what_was_written_is_loaded(tmp_path):
    metadata = metadata_of("unified")
    state = state_of(metadata)
    path = tmp_path / metadata.name.filename
    assert write_checkpoint(path, metadata, state) == path.stat().st_size
    loaded_metadata, loaded = load_checkpoint(path)
    assert loaded_metadata == metadata == read_metadata(path)
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], state[name]) for name in state)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8, torch.bool])
def test_tensors_of_every_type_are_kept(tmp_path, dtype):
    metadata = metadata_of("unified")
    path = tmp_path / metadata.name.filename
    state = {"a": torch.arange(6).reshape(2, 3).to(dtype), "empty": torch.zeros(0, 3), "scalar": torch.tensor(7)}
    write_checkpoint(path, metadata, state)
    loaded = tensors_in(path)
    assert all(torch.equal(loaded[name], state[name]) and loaded[name].dtype == state[name].dtype for name in state)


@pytest.mark.parametrize("mmap", [False, True])
def test_pytorch_loads_it_with_weights_only(tmp_path, mmap):
    path = write(tmp_path, metadata_of("unified"))
    content = torch.load(path, weights_only=True, mmap=mmap)
    assert content["metadata"] == metadata_of("unified").to_dict()
    assert set(content) == {"metadata", "generator_state_dict"}


def test_it_is_a_sound_zip_archive_with_the_metadata_as_json(tmp_path):
    path = write(tmp_path, metadata_of("unified"))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        (member,) = [name for name in archive.namelist() if name.endswith("feda2v/metadata.json")]
        header = json.loads(archive.read(member))
    assert header["metadata"] == metadata_of("unified").to_dict()
    assert header["kind"] == "generator"


def test_the_same_content_is_the_same_bytes(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    paths = [write_set(first, "unified")[0], write_set(second, "unified")[0]]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_model_of_a_stack_is_written_alone(tmp_path):
    metadata = metadata_of("unified")
    path = tmp_path / metadata.name.filename
    stack = torch.randn(50, 1000, 10)
    write_checkpoint(path, metadata, {"weight": stack[7], "transposed": stack[3].T})
    assert path.stat().st_size < 2.2 * stack[7].nbytes
    assert torch.equal(tensors_in(path)["transposed"], stack[3].T)


def test_a_file_takes_at_most_a_tenth_more_than_its_tensors(tmp_path):
    metadata = metadata_of("unified")
    path = tmp_path / metadata.name.filename
    state = {f"layer.{index}.weight": torch.randn(64, 64) for index in range(20)}
    size = write_checkpoint(path, metadata, state)
    assert size <= 1.1 * sum(tensor.nbytes for tensor in state.values())


def test_parameters_that_require_gradients_are_written_as_plain_tensors(tmp_path):
    metadata = metadata_of("unified")
    path = tmp_path / metadata.name.filename
    write_checkpoint(path, metadata, dict(torch.nn.Linear(3, 2).named_parameters()))
    assert not any(tensor.requires_grad for tensor in tensors_in(path).values())


def test_a_file_whose_name_is_not_what_its_metadata_demand_is_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"its metadata demand vae_unified_node0\.pt"):
        write_checkpoint(tmp_path / "other.pt", metadata_of("unified"), {})
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_not_there_is_named(tmp_path):
    metadata = metadata_of("unified")
    with pytest.raises(FailedError, match=r"cannot be written — No such file or directory"):
        write_checkpoint(tmp_path / "absent" / metadata.name.filename, metadata, state_of(metadata))


def test_a_directory_in_the_place_of_the_file_is_named(tmp_path):
    metadata = metadata_of("unified")
    (tmp_path / metadata.name.filename).mkdir()
    with pytest.raises(FailedError, match=r"cannot be written — Is a directory"):
        write_checkpoint(tmp_path / metadata.name.filename, metadata, state_of(metadata))
    assert [path.name for path in tmp_path.iterdir()] == [metadata.name.filename]


@pytest.fixture
def full_disk():
    """Files of this process cannot grow beyond 100 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("full_disk")
def test_a_write_that_fails_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path):
    metadata = metadata_of("unified")
    path = write(tmp_path, metadata)
    before = path.read_bytes()
    with pytest.raises(FailedError) as caught:
        write_checkpoint(path, metadata, {"weight": torch.zeros(100_000)})
    assert "400000 bytes" in str(caught.value)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


_ENDLESS = """
    import sys
    from pathlib import Path
    sys.path.insert(0, {samples!r})
    import torch
    from checkpoint_samples import metadata_of
    from feda2v_cli.checkpoint.file import write_checkpoint
    metadata = metadata_of("unified")
    path = Path({directory!r}) / metadata.name.filename
    weights = torch.randn(1_000_000)
    print("ready", flush=True)
    while True:
        write_checkpoint(path, metadata, {{"weight": weights}})
"""


@pytest.fixture
def endless_writer(tmp_path):
    """A process that writes one checkpoint over and over, and has begun to replace it."""
    script = textwrap.dedent(
        _ENDLESS.format(samples=str(Path(__file__).parents[1] / "samples"), directory=str(tmp_path))
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdout.readline()
        while sorted(path.suffix for path in tmp_path.iterdir()) != [".pt", ".tmp"]:
            assert process.poll() is None
        yield process
        process.kill()


def test_ctrl_c_leaves_a_whole_file_and_nothing_else(tmp_path, endless_writer):
    endless_writer.send_signal(signal.SIGINT)
    endless_writer.wait()
    assert [path.name for path in tmp_path.iterdir()] == ["vae_unified_node0.pt"]
    assert tensors_in(tmp_path / "vae_unified_node0.pt")


def test_a_killed_write_leaves_a_whole_file_beside_its_temporary_one(tmp_path, endless_writer):
    endless_writer.kill()
    endless_writer.wait()
    assert tensors_in(tmp_path / "vae_unified_node0.pt")


def test_metadata_are_read_without_pytorch_pydantic_or_pickle(tmp_path):
    path = write(tmp_path, metadata_of("unified"))
    script = (
        "import sys; from pathlib import Path; from feda2v_cli.verifier.single import read_metadata;"
        f"print(read_metadata(Path({str(path)!r})).node_id);"
        "print([name for name in ('torch', 'pydantic', 'numpy') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout == "0\n[]\n"


def test_a_renamed_file_is_not_loaded(tmp_path):
    path = write(tmp_path, metadata_of("unified"))
    other = path.rename(tmp_path / "vae_unified_node1.pt")
    with pytest.raises(FindingsError) as caught:
        load_checkpoint(other)
    assert caught.value.code == "FA012"


def test_a_file_with_a_flipped_bit_is_not_loaded(tmp_path):
    path = write(tmp_path, metadata_of("unified"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(FindingsError) as caught:
        load_checkpoint(path)
    assert caught.value.code == "FA009"


def test_a_file_with_nan_is_not_loaded(tmp_path):
    metadata = metadata_of("unified")
    path = write(tmp_path, metadata, **{"projection.mean": torch.full((32,), float("nan"))})
    with pytest.raises(FindingsError) as caught:
        load_checkpoint(path)
    assert (caught.value.code, caught.value.findings[0].tensor) == ("FA011", "projection.mean")


def test_an_absent_file_is_a_finding(tmp_path):
    with pytest.raises(FindingsError, match="cannot be read — No such file or directory"):
        read_metadata(tmp_path / "vae_unified_node0.pt")
