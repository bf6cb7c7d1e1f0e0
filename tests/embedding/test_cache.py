import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from feda2v_cli.embedding import cache as cache_module
from feda2v_cli.embedding.cache import DamagedEntryError, EmbeddingCache, encoder_key
from feda2v_cli.embedding.melstats import MelStats
from feda2v_cli.errors import FailedError

HASH = "ab" + "0" * 62
EMBEDDING = np.random.default_rng(0).normal(size=(4, 768)).astype(np.float32)

#: Fills the disk: this process may write no file beyond a kilobyte.
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np, torch
from feda2v_cli.embedding.cache import EmbeddingCache
from feda2v_cli.embedding.melstats import MelStats
from feda2v_cli.errors import FailedError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
cache = EmbeddingCache(Path(sys.argv[1]), MelStats(4, 16000, 5.0, torch.device("cpu")))
try:
    cache.write("ab" + "0" * 62, np.zeros((4, 768), np.float32))
except FailedError as error:
    print(error.title, "|", error.hint)
"""


@pytest.fixture
def kept(cache: Path, encoder: MelStats) -> EmbeddingCache:
    return EmbeddingCache(cache, encoder)


def test_what_is_written_is_read(kept: EmbeddingCache) -> None:
    kept.write(HASH, EMBEDDING)

    np.testing.assert_array_equal(kept.read(HASH), EMBEDDING)


def test_what_was_never_written_is_none(kept: EmbeddingCache) -> None:
    assert kept.read(HASH) is None


def test_reading_makes_no_directory(cache: Path, kept: EmbeddingCache) -> None:
    kept.read(HASH)

    assert not cache.exists()


def test_what_is_read_cannot_be_changed(kept: EmbeddingCache) -> None:
    kept.write(HASH, EMBEDDING)

    embedding = kept.read(HASH)

    assert embedding is not None
    assert not embedding.flags.writeable


def test_numpy_opens_an_entry(kept: EmbeddingCache) -> None:
    kept.write(HASH, EMBEDDING)

    np.testing.assert_array_equal(np.load(kept.path_of(HASH)), EMBEDDING)


@pytest.mark.parametrize("place", [0, 100, 128, 5_000, 128 + 4 * 4 * 768 - 1, -1])
def test_an_entry_with_one_changed_bit_is_damaged(kept: EmbeddingCache, place: int) -> None:
    kept.write(HASH, EMBEDDING)
    content = bytearray(kept.path_of(HASH).read_bytes())
    content[place] ^= 1
    kept.path_of(HASH).write_bytes(content)

    with pytest.raises(DamagedEntryError):
        kept.read(HASH)


def test_the_entry_of_another_clip_is_damaged(kept: EmbeddingCache) -> None:
    other = "ab" + "1" * 62
    kept.write(HASH, EMBEDDING)
    kept.path_of(HASH).rename(kept.path_of(other))

    with pytest.raises(DamagedEntryError):
        kept.read(other)


@pytest.mark.parametrize("package", ["soundfile", "soxr", "torchaudio"])
def test_another_version_of_what_decodes_or_resamples_has_entries_of_its_own(
    encoder: MelStats, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    before = encoder_key(encoder)
    versions = cache_module._version
    monkeypatch.setattr(cache_module, "_version", lambda name: "99" if name == package else versions(name))

    assert encoder_key(encoder) != before


@pytest.mark.parametrize(("name", "value"), [("WAVEFORM_VERSION", 99), ("_libsndfile", lambda: "99")])
def test_another_way_to_decode_has_entries_of_its_own(
    encoder: MelStats, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    before = encoder_key(encoder)
    monkeypatch.setattr(cache_module, name, value)

    assert encoder_key(encoder) != before


def test_an_entry_lies_where_the_documentation_says(cache: Path, kept: EmbeddingCache, encoder: MelStats) -> None:
    kept.write(HASH, EMBEDDING)

    (directory,) = cache.iterdir()
    assert directory.name.startswith("melstats-")
    assert (directory / "ab" / f"{HASH}.npy").is_file()
    origin = json.loads((directory / "encoder.json").read_text())
    assert origin["encoder"] == encoder.identity
    assert {"waveform", "libsndfile", "soundfile", "soxr", "torchaudio"} == origin["made_with"].keys()


def test_nothing_but_whole_files_is_left(cache: Path, kept: EmbeddingCache) -> None:
    kept.write(HASH, EMBEDDING)
    kept.write(HASH, EMBEDDING)

    assert sorted(path.suffix for path in cache.rglob("*") if path.is_file()) == [".json", ".npy"]


@pytest.mark.parametrize("size", [0, 5, 100, 128, 1_000, 4 * 4 * 768 + 127])
def test_a_truncated_entry_is_damaged(kept: EmbeddingCache, size: int) -> None:
    kept.write(HASH, EMBEDDING)
    os.truncate(kept.path_of(HASH), size)

    with pytest.raises(DamagedEntryError):
        kept.read(HASH)


@pytest.mark.parametrize(
    "other", [EMBEDDING[:2], EMBEDDING.astype(np.float64), EMBEDDING * np.nan, np.array(["text"]), np.array([{}])]
)
def test_an_entry_of_another_kind_is_damaged(kept: EmbeddingCache, other: np.ndarray) -> None:
    kept.write(HASH, EMBEDDING)
    np.save(kept.path_of(HASH), other, allow_pickle=True)

    with pytest.raises(DamagedEntryError):
        kept.read(HASH)


def test_a_cache_that_cannot_be_made_is_an_error(tmp_path: Path, encoder: MelStats) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(FailedError, match="cannot be written to — Not a directory") as caught:
        EmbeddingCache(tmp_path / "file", encoder).write(HASH, EMBEDDING)
    assert "embedding.cache" in str(caught.value.hint)


def test_a_full_disk_is_an_error_and_leaves_no_entry(cache: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(cache)], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("the embedding cache ")
    assert "cannot be written to — File too large" in done.stdout
    assert [path.name for path in cache.rglob("*") if path.is_file()] == ["encoder.json"]
