"""What verifying costs, and what it withstands.

    python benchmarks/verify_checkpoints.py

prints: bytes a second beside `sha256sum` on the same cached files; the time of `ls` and `verify` on 1,000 small
checkpoints, as whole processes; peak memory against the size of a file; and what 20,000 mutated files did.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "samples"))
from checkpoint_samples import metadata_of, write
from legacy_samples import client
from mutations import mutated

from feda2v_cli.checkpoint.file import write_checkpoint
from feda2v_cli.verifier.inspection import inspect

FEDA2V = Path(sys.executable).with_name("feda2v")
MEBIBYTE = 1 << 20
_PEAK = (
    "import sys; from pathlib import Path; from feda2v_cli.verifier.inspection import inspect;"
    "assert not inspect(Path(sys.argv[1])).defects;"
    "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
)


def timed(action: Callable[[], object]) -> float:
    """Seconds of wall time, the best of three."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def process(*words: object) -> Callable[[], object]:
    """Run a command and throw its output away."""
    return lambda: subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL)


def write_large(directory: Path, files: int, mebibytes: int) -> list[Path]:
    """Write checkpoints of four tensors each."""
    directory.mkdir()
    paths = []
    for node in range(files):
        metadata = metadata_of("unified", 0, None, node_id=node)
        state = {f"layer.{index}": torch.randn(mebibytes * MEBIBYTE // 16) for index in range(4)}
        paths.append(directory / metadata.name.filename)
        write_checkpoint(paths[-1], metadata, state)
    return paths


def throughput(root: Path) -> None:
    """Bytes a second on large files."""
    paths = write_large(root / "large", files=4, mebibytes=512)
    os.sync()
    size = sum(path.stat().st_size for path in paths)
    print(f"\n4 checkpoints, {size / 1e9:.2f} GB, cached")
    whole = timed(process(FEDA2V, "checkpoints", "verify", root / "large"))
    print(f"  feda2v checkpoints verify   {whole:6.2f} s  {size / whole / 1e9:5.2f} GB/s  (the whole process)")
    alone = timed(lambda: [inspect(path) for path in paths])
    print(f"  one thread of it            {alone:6.2f} s  {size / alone / 1e9:5.2f} GB/s")
    other = timed(process("sha256sum", *paths))
    print(f"  sha256sum                   {other:6.2f} s  {size / other / 1e9:5.2f} GB/s")


def many(root: Path) -> None:
    """Seconds on many small files."""
    directory = root / "many"
    directory.mkdir()
    for node in range(1000):
        write(directory, metadata_of("unified", 0, None, node_id=node), seed=node)
    print("\n1,000 small checkpoints, whole processes")
    print(f"  feda2v checkpoints ls       {timed(process(FEDA2V, 'checkpoints', 'ls', directory)):6.2f} s")
    print(f"  feda2v checkpoints verify   {timed(process(FEDA2V, 'checkpoints', 'verify', directory)):6.2f} s")


def memory(root: Path) -> None:
    """Peak memory of a process that verifies one file."""
    print("\npeak memory of verifying one file")
    for mebibytes in (1, 64, 1024):
        (path,) = write_large(root / f"one_of_{mebibytes}", files=1, mebibytes=mebibytes)
        peak = subprocess.run([sys.executable, "-c", _PEAK, path], check=True, capture_output=True, text=True).stdout
        print(f"  {mebibytes:5} MiB file   {int(peak) / 1024:6.1f} MiB")


def mutations(root: Path, files: int) -> None:
    """Mutate files of every kind and inspect them."""
    originals = [write(root, metadata_of("unified")).read_bytes()]
    for is_archive in (True, False):
        path = root / "legacy.pt"
        torch.save(client(), path, _use_new_zipfile_serialization=is_archive)
        originals.append(path.read_bytes())
    workplace = root / "workplace"
    workplace.mkdir()
    path = workplace / "vae_unified_node0.pt"
    codes: Counter[str] = Counter()
    slowest, most, missed, crashed = 0.0, 0, 0, 0
    tracemalloc.start()
    for seed in range(files):
        original = originals[seed % len(originals)]
        content = mutated(original, seed)
        path.write_bytes(content)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        start = time.process_time()
        try:
            inspection = inspect(path)
        except Exception as error:  # noqa: BLE001 - a crash is what is looked for
            crashed += 1
            print(f"  seed {seed}: {error!r}")
            continue
        slowest = max(slowest, time.process_time() - start)
        most = max(most, tracemalloc.get_traced_memory()[1] - before)
        codes.update({defect.code for defect in inspection.defects} or {"sound"})
        missed += original is originals[0] and content != original and not inspection.defects
    tracemalloc.stop()
    left = [entry.name for entry in workplace.iterdir() if entry != path]
    print(f"\n{files:,} mutated files, of {', '.join(f'{len(original):,}' for original in originals)} bytes")
    print(f"  crashed: {crashed}; slowest: {slowest * 1000:.0f} ms; most memory: {most / 1e6:.1f} MB")
    print(f"  left behind: {', '.join(left) or 'nothing'}")
    print(f"  mutated files of today that passed: {missed}")
    print(f"  {', '.join(f'{code} {count}' for code, count in sorted(codes.items()))}")


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=20_000, metavar="N", help="mutated files (20000)")
    parser.add_argument("--dir", type=Path, help="where to write 4 GB; the default is the system's temporary directory")
    options = parser.parse_args()
    limit = resource.getrlimit(resource.RLIMIT_AS)
    with tempfile.TemporaryDirectory(dir=options.dir) as name:
        for part in (throughput, many, memory):
            part(Path(name))
        # A file that asks for much more memory than it may fails at once instead of filling the machine.
        resource.setrlimit(resource.RLIMIT_AS, (16 << 30, limit[1]))
        mutations(Path(name), options.mutations)


if __name__ == "__main__":
    main()
