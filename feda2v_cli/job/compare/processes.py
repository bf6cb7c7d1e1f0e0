"""Parts of a comparison side by side, each worker a process of its own.

Threads would do for operations, but most of the time of small models is Python's, which one thread at a time runs.
"""

import pickle
import signal
import traceback
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

import torch

from feda2v_cli.errors import FailedError, Feda2vError, RunInterrupted
from feda2v_cli.processes import no_main_module
from feda2v_cli.run.event import ClipsEmbedded, EpochEnded, Event, Listener

#: What a worker gets to end its run cleanly before it is killed.
SECONDS_TO_END = 20.0


@dataclass(frozen=True)
class Part:
    """Something that can be done beside others.

    Attributes:
        run: does it, and tells the listener what happens; it can be pickled, as what it gives can.
        after: the part that must be done before; None for none.
    """

    run: Callable[[Listener], Any]
    after: str | None = None


def run_parts(parts: Mapping[str, Part], at_once: int, threads: int, listener: Listener) -> dict[str, Any]:
    """Do parts side by side. All of them end when one fails, and at Ctrl-C.

    Events are told part by part in the order of `parts`, as if one part had followed the other: of the part whose turn
    it is at once, of those that are ahead of it when their turn comes.

    Args:
        parts: by name; each comes after the one that it waits for.
        at_once: most parts at the same time.
        threads: for an operation of a part.
        listener: is told what happens.

    Returns:
        What each part gives, by name.

    Raises:
        Feda2vError: what a part raises.
        FailedError: a part's process is gone.
        RuntimeError: a part raised something else, which is in its notes.
    """
    told = _InTurn(list(parts), listener)
    results: dict[str, Any] = {}
    waiting = dict(parts)
    with _workers(min(at_once, len(parts)), threads) as workers:
        idle, busy = list(workers), dict[Connection, str]()
        while len(results) < len(parts):
            ready = [name for name, part in waiting.items() if part.after is None or part.after in results]
            for name, worker in zip(ready, list(idle), strict=False):
                idle.remove(worker)
                busy[worker] = name
                with suppress(BrokenPipeError):  # it is gone, as is found below
                    _send(worker, waiting.pop(name).run)
            heard = wait(list(busy))
            for worker, name in [(worker, name) for worker, name in busy.items() if worker in heard]:
                try:
                    kind, value = pickle.loads(worker.recv_bytes())
                except (EOFError, OSError):
                    told.reveal(name)
                    raise _gone(name, workers[worker]) from None
                if kind == "event":
                    told.event(name, value)
                elif kind == "result":
                    told.done(name)
                    results[name] = value
                    idle.append(worker)
                    del busy[worker]
                else:
                    told.reveal(name)
                    raise value
    return results


class _InTurn:
    """Tells events part by part."""

    def __init__(self, names: list[str], listener: Listener) -> None:
        self._listener = listener
        self._left = names
        self._done: set[str] = set()
        self._held: dict[str, list[Event]] = {name: [] for name in names}

    def event(self, name: str, event: Event) -> None:
        if name == self._left[0]:
            self._listener(event)
        elif not isinstance(event, EpochEnded | ClipsEmbedded):  # progress that has passed interests nobody
            self._held[name].append(event)

    def done(self, name: str) -> None:
        self._done.add(name)
        while self._left and self._left[0] in self._done:
            del self._left[0]
            if self._left:
                self.reveal(self._left[0])

    def reveal(self, name: str) -> None:
        for event in self._held[name]:
            self._listener(event)
        self._held[name].clear()


@contextmanager
def _workers(count: int, threads: int) -> Generator[dict[Connection, SpawnProcess], None, None]:
    """Processes that wait for parts, by the connection to each; none is left afterwards."""
    context = get_context("spawn")  # a fork would copy the locks of this process's threads
    workers: dict[Connection, SpawnProcess] = {}
    try:
        with no_main_module():
            for _ in range(count):
                own, other = context.Pipe()
                process = context.Process(target=_work, args=(other, threads), daemon=True)
                process.start()
                other.close()
                workers[own] = process
        yield workers
    finally:
        for process in workers.values():
            process.terminate()
        for connection, process in workers.items():
            process.join(SECONDS_TO_END)
            process.kill()
            connection.close()


def _work(connection: Connection, threads: int) -> None:
    """Do the parts that come until no more come, in a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal tells every process; the one that waits for us tells us
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    torch.set_num_threads(threads)
    with suppress(KeyboardInterrupt, RunInterrupted, EOFError, OSError):  # the other end is gone, or wants us gone
        while True:
            run = pickle.loads(connection.recv_bytes())
            _send(connection, _outcome(run, connection))


def _outcome(run: Callable[[Listener], Any], connection: Connection) -> tuple[str, Any]:
    try:
        return "result", run(lambda event: _send(connection, ("event", event)))
    except RunInterrupted:
        raise
    except Feda2vError as error:
        return "error", error
    except Exception as error:  # noqa: BLE001 - it goes on in the process that waits
        bug = RuntimeError(f"{type(error).__name__}: {error}")
        bug.add_note(traceback.format_exc())
        return "error", bug


def _send(connection: Connection, content: Any) -> None:
    # As bytes: multiprocessing would put tensors into shared memory, of which containers have little.
    connection.send_bytes(pickle.dumps(content))


def _gone(name: str, process: SpawnProcess) -> FailedError:
    process.join(SECONDS_TO_END)
    code = process.exitcode
    how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with {code}"
    return FailedError(
        f"{name}: its process {how}",
        ["the system ends processes so when memory runs out"],
        hint="give training less: --set experiment.memory=1GB",
    )
