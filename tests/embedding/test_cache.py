import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from patience import SECONDS

from feda2v_cli.embedding import cache as cache_module
from feda2v_cli.embedding.cache import DamagedEntryError, EmbeddingCache, encoder_key
from feda2v_cli.embedding.melstats import MelStats
from feda2v_cli.errors import FailedError

HASH = "ab" + "0" * 62
OTHER = "ab" + "1" * 62
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
#: Writes entries of fifty clips.
WRITER = """
import sys
from pathlib import Path
import numpy as np, torch
from feda2v_cli.embedding.cache import EmbeddingCache
from feda2v_cli.embedding.melstats import MelStats
cache = EmbeddingCache(Path(sys.argv[1]), MelStats(4, 16000, 5.0, torch.device("cpu")))
for number in range(int(sys.argv[2]), int(sys.argv[2]) + 50):
    cache.write(f"{number:064x}", np.full((4, 768), number, np.float32))
"""


@pytest.fixture
def kept(cache: Path, encoder: MelStats) -> EmbeddingCache:
    return EmbeddingCache(cache, encoder)


@pytest.fixture
def again(cache: Path, encoder: MelStats) -> Callable[[], EmbeddingCache]:
    """The cache as another process opens it."""
    return lambda: EmbeddingCache(cache, encoder)


Again = Callable[[], EmbeddingCache]


def change(kept: EmbeddingCache, place: int) -> None:
    content = bytearray(kept.path.read_bytes())
    content[place] ^= 1
    kept.path.write_bytes(content)


def test_what_is_written_is_read(kept: EmbeddingCache, again: Again) -> None:
    row = kept.write(HASH, EMBEDDING)

    assert again().find(HASH) == row
    np.testing.assert_array_equal(again().stored([row]).read()[0], EMBEDDING)


def test_what_was_written_a_moment_ago_is_read(kept: EmbeddingCache) -> None:
    rows = [kept.write(name, EMBEDDING * factor) for factor, name in enumerate((HASH, OTHER), 1)]

    np.testing.assert_array_equal(kept.stored(rows[::-1]).read(), [EMBEDDING * 2, EMBEDDING])


def test_what_was_never_written_is_none(kept: EmbeddingCache) -> None:
    assert kept.find(HASH) is None


def test_reading_makes_no_directory(cache: Path, kept: EmbeddingCache) -> None:
    kept.find(HASH)

    assert not cache.exists()


def test_what_is_read_may_be_changed_and_changes_nothing(kept: EmbeddingCache, again: Again) -> None:
    row = kept.write(HASH, EMBEDDING)

    kept.stored([row]).read().zero_()

    assert again().find(HASH) == row


@pytest.mark.parametrize("numbers", ["float16", "bfloat16"])
def test_numbers_of_half_the_size_are_rounded(cache: Path, encoder: MelStats, numbers: str) -> None:
    kept = EmbeddingCache(cache, encoder, numbers)
    row = kept.write(HASH, EMBEDDING)

    read = EmbeddingCache(cache, encoder, numbers).stored([row]).read()[0]

    assert torch.equal(read, torch.from_numpy(EMBEDDING).to(getattr(torch, numbers)).float())
    assert kept.path.stat().st_size == 64 + 2 * EMBEDDING.size


def test_other_numbers_have_entries_of_their_own(kept: EmbeddingCache, cache: Path, encoder: MelStats) -> None:
    kept.write(HASH, EMBEDDING)

    assert EmbeddingCache(cache, encoder, "float16").find(HASH) is None


def test_some_features_of_all_embeddings_are_read_alone(kept: EmbeddingCache) -> None:
    stored = kept.stored([kept.write(HASH, EMBEDDING), kept.write(OTHER, 2 * EMBEDDING)])

    part = stored.features(slice(700, 900))

    np.testing.assert_array_equal(part[1], 2 * EMBEDDING.reshape(-1)[700:900])


@pytest.mark.parametrize("place", [32, 63, 64, 5_000, 64 + 4 * 4 * 768 - 1])
def test_an_entry_with_one_changed_bit_is_damaged(kept: EmbeddingCache, again: Again, place: int) -> None:
    kept.write(HASH, EMBEDDING)
    change(kept, place)

    with pytest.raises(DamagedEntryError):
        again().find(HASH)


def test_an_entry_whose_clip_is_another_after_a_changed_bit_is_nobodys(kept: EmbeddingCache, again: Again) -> None:
    kept.write(HASH, EMBEDDING)
    change(kept, 31)

    assert again().find(HASH) is None
    with pytest.raises(DamagedEntryError):
        again().find(HASH[:-1] + "1")


def test_a_cache_that_is_opened_again_knows_what_was_written_since_by_anyone(
    kept: EmbeddingCache, again: Again
) -> None:
    third = "cd" + OTHER[2:]
    kept.write(HASH, EMBEDDING)
    assert again().find(HASH) == 0
    clip, values = bytes.fromhex(OTHER), EMBEDDING.tobytes()
    with kept.path.open("ab") as file:  # as another process would
        file.write(clip + sha256(clip + values).digest() + values)
    kept.write(third, EMBEDDING)

    opened = again()

    assert [opened.find(name) for name in (HASH, OTHER, third)] == [0, 1, 2]


def test_a_cache_that_was_emptied_is_empty(cache: Path, kept: EmbeddingCache, again: Again) -> None:
    kept.write(HASH, EMBEDDING)
    assert again().find(HASH) == 0

    shutil.rmtree(cache)

    assert again().find(HASH) is None
    assert again().write(OTHER, EMBEDDING) == 0


def test_a_damaged_entry_is_written_over_where_it_lies(kept: EmbeddingCache, again: Again) -> None:
    kept.write(OTHER, EMBEDDING)
    row = kept.write(HASH, EMBEDDING)
    change(kept, -1)

    assert again().write(HASH, EMBEDDING) == row
    assert again().find(HASH) == row
    assert kept.path.stat().st_size == 2 * (64 + EMBEDDING.nbytes)


def test_what_a_process_that_was_killed_has_left_is_written_over(kept: EmbeddingCache, again: Again) -> None:
    kept.write(OTHER, EMBEDDING)
    with kept.path.open("ab") as file:
        file.write(b"half an entry")

    assert again().write(HASH, EMBEDDING) == 1
    assert [again().find(name) for name in (OTHER, HASH)] == [0, 1]


def test_a_file_that_was_cut_off_has_lost_its_last_entries(kept: EmbeddingCache, again: Again) -> None:
    kept.write(OTHER, EMBEDDING)
    kept.write(HASH, EMBEDDING)
    os.truncate(kept.path, kept.path.stat().st_size - 1)

    assert (again().find(OTHER), again().find(HASH)) == (0, None)


def test_what_was_cut_off_since_it_was_found_is_an_error_that_says_what_to_do(
    kept: EmbeddingCache, again: Again
) -> None:
    rows = [kept.write(name, EMBEDDING) for name in (OTHER, HASH)]
    opened = again()
    os.truncate(kept.path, kept.path.stat().st_size // 2)

    with pytest.raises(FailedError, match="holds 1 embeddings — this run has found 2") as caught:
        opened.stored(rows)

    assert "computes what is lost" in str(caught.value.hint)
    assert opened.stored(rows[:1]).read().shape == (1, *EMBEDDING.shape)


def test_what_was_cut_off_while_a_run_reads_it_ends_the_run_with_an_error_and_does_not_kill_it(
    kept: EmbeddingCache, again: Again
) -> None:
    rows = [kept.write(name, EMBEDDING) for name in (OTHER, HASH)]
    opened = again()
    read = opened.stored(rows).of([0])
    os.truncate(kept.path, 0)

    for reading in (read.read, lambda: read.features(slice(3))):
        with pytest.raises(FailedError, match="has been cut off or emptied"):
            reading()
    assert opened.find(HASH) is None, "it is made again"


def test_a_cache_that_was_removed_is_read_to_the_end(kept: EmbeddingCache) -> None:
    read = kept.stored([kept.write(HASH, EMBEDDING)])
    kept.path.unlink()

    assert read.read().shape == (1, *EMBEDDING.shape)


def test_what_another_process_has_written_and_cut_off_again_is_not_there(kept: EmbeddingCache) -> None:
    for name in (OTHER, HASH):
        kept.write(name, EMBEDDING)
    os.truncate(kept.path, 0)

    assert kept.find(HASH) is None
    assert kept.write(HASH, EMBEDDING) == 0


def test_processes_that_write_at_once_lose_nothing(cache: Path, again: Again) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(cache), str(first)]) for first in (0, 50)]

    assert [writer.wait(timeout=SECONDS) for writer in writers] == [0, 0]
    kept = again()
    rows = [kept.find(f"{number:064x}") for number in range(100)]
    assert sorted(row for row in rows if row is not None) == list(range(100))
    read = kept.stored([row or 0 for row in rows]).read()
    assert read[:, 0, 0].tolist() == list(range(100))


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


def test_the_entries_lie_where_the_documentation_says(cache: Path, kept: EmbeddingCache, encoder: MelStats) -> None:
    kept.write(HASH, EMBEDDING)

    (directory,) = cache.iterdir()
    assert directory.name.startswith("melstats-")
    content = (directory / "embeddings.bin").read_bytes()
    assert content[:32].hex() == HASH
    assert content[64:] == EMBEDDING.tobytes()
    assert sorted(path.name for path in directory.iterdir()) == ["embeddings.bin", "encoder.json"]
    origin = json.loads((directory / "encoder.json").read_text())
    assert origin["encoder"] == encoder.identity
    assert (origin["shape"], origin["numbers"]) == ([4, 768], "float32")
    assert {"waveform", "libsndfile", "soundfile", "soxr", "torchaudio"} == origin["made_with"].keys()


def test_a_cache_that_cannot_be_made_is_an_error(tmp_path: Path, encoder: MelStats) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(FailedError, match="cannot be written to — Not a directory") as caught:
        EmbeddingCache(tmp_path / "file", encoder).write(HASH, EMBEDDING)
    assert "embedding.cache" in str(caught.value.hint)


def test_a_full_disk_is_an_error_and_leaves_no_part_of_an_entry(cache: Path, kept: EmbeddingCache) -> None:
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(cache)], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("the embedding cache ")
    assert "cannot be written to — File too large" in done.stdout
    assert kept.path.stat().st_size == 0
