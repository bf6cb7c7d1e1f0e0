"""What busy cores cost: each command alone, and beside as many endless loops as there are cores.

    python benchmarks/busy.py                      all commands, in turn quiet and busy; about 12 minutes on 2 cores
    python benchmarks/busy.py evaluate --pairs 3   one of them

Beside a loop on every core a fair share is half of the time: a command that takes more than 2.2 times as long waits for
its own threads. On a machine that has other work, the quiet times are not quiet: see how far they lie apart.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

FEDA2V = str(Path(sys.executable).with_name("feda2v"))
#: On the built-in sounds, in this order: the first leaves the generators that others take.
COMMANDS = {
    "train-generators": ("train-generators", "-g", "per_class", "--force"),
    "federate": ("federate", "-p", "use_pretrained", "--generators", "checkpoints/generators_per_class", "--force"),
    "evaluate": ("evaluate", "checkpoints/generators_per_class"),
    "compare": ("compare", "--no-picture", "--force"),
}
MOST = 2.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=f"of {', '.join(COMMANDS)}; all by default")
    parser.add_argument("--pairs", type=int, default=2, help="quiet and busy, in turn")
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(f"seconds alone, and beside {cores} endless loops on {cores} cores")
    print(f"{'command':18} {'quiet':>18} {'busy':>18}   busy / quiet, of the medians")
    slow = []
    with tempfile.TemporaryDirectory() as place:
        _seconds(place, COMMANDS["train-generators"])  # fills the cache of embeddings
        for name in arguments.commands or COMMANDS:
            quiet, busy = [], []
            for _ in range(arguments.pairs):
                quiet.append(_seconds(place, COMMANDS[name]))
                with _loops(cores):
                    busy.append(_seconds(place, COMMANDS[name]))
            ratio = median(busy) / median(quiet)
            print(f"{name:18} {_list(quiet):>18} {_list(busy):>18}   {ratio:.2f}", flush=True)
            slow += [name] if ratio > MOST else []
    if slow:
        sys.exit(f"more than {MOST} times as long on busy cores: {', '.join(slow)}")


def _seconds(place: str, words: tuple[str, ...]) -> float:
    started = time.perf_counter()
    subprocess.run(
        [FEDA2V, *words, "-q"],
        cwd=place,
        env=os.environ | {"FEDA2V_EMBEDDING_CACHE": f"{place}/cache"},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - started


@contextmanager
def _loops(count: int) -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _list(seconds: list[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in seconds)


if __name__ == "__main__":
    main()
