"""Processes that read and decode clips ahead of the encoder.

Threads do for few clips: what they call releases Python's lock. While a model is run over many, the lock is better
left to it; and a file that brings a decoder down takes no run with it.
"""

import pickle
import signal
from contextlib import suppress
from multiprocessing import current_process, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue
from typing import Self

import numpy as np
import torch
from torch import Tensor

from feda2v_cli.data.clip import Clip, UnreadableClipError
from feda2v_cli.embedding.waveform import InaudibleError, prepare
from feda2v_cli.processes import no_main_module

_SECONDS_TO_END = 5.0


def waveform_of(clip: Clip, content: bytes, sample_rate: int, seconds: float) -> Tensor:
    """The waveform of a clip as an encoder takes it, float32 `[samples]`.

    Raises:
        UnreadableClipError: it cannot be decoded, or nothing of it is left at this rate.
    """
    try:
        return prepare(clip.decode(content), sample_rate, seconds)
    except InaudibleError as error:
        raise UnreadableClipError(clip.place, str(error)) from error


def may_start_processes() -> bool:
    """Whether this process may have others; one that is itself a part of another may not."""
    return not current_process().daemon


class Decoders:
    """So many processes, each of which decodes one clip at a time. They end with whoever started them.

    Args:
        count: of processes.
        sample_rate: Hz of the waveforms.
        seconds: length of the waveforms.
    """

    def __init__(self, count: int, sample_rate: int, seconds: float) -> None:
        self._given = (sample_rate, seconds)
        self._workers: list[_Worker] = []
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        for _ in range(count):
            self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._workers:
            worker.end()

    def waveform(self, clip: Clip) -> Tensor:
        """The waveform of a clip, by the first process that is free. Several threads may ask at once.

        Raises:
            UnreadableClipError: it cannot be used, or brings its decoder down.
        """
        worker = self._idle.get()
        try:
            answer = worker.ask(clip)
        except (EOFError, OSError):
            self._start()
            raise UnreadableClipError(clip.place, f"its decoder ended {worker.how_it_ended()}") from None
        self._idle.put(worker)
        if isinstance(answer, str):
            raise UnreadableClipError(clip.place, answer)
        return torch.from_numpy(answer)

    def _start(self) -> None:
        worker = _Worker(self._given)
        self._workers.append(worker)
        self._idle.put(worker)


class _Worker:
    """A process, and the connection to it."""

    def __init__(self, given: tuple[int, float]) -> None:
        context = get_context("spawn")  # a fork would copy the locks of this process's threads
        self._own, other = context.Pipe()
        self._process: SpawnProcess = context.Process(target=_decode, args=(other, *given), daemon=True)
        with no_main_module():
            self._process.start()
        other.close()

    def ask(self, clip: Clip) -> "np.ndarray[tuple[int], np.dtype[np.float32]] | str":
        """A waveform, or why there is none."""
        self._own.send_bytes(pickle.dumps(clip))
        content = self._own.recv_bytes()
        # As bytes: multiprocessing would put tensors into shared memory, of which containers have little.
        if content[:1] == b"w":
            return np.frombuffer(content, np.float32, offset=4).copy()
        return content[4:].decode(errors="surrogateescape")

    def how_it_ended(self) -> str:
        """In words."""
        self._process.join(_SECONDS_TO_END)
        code = self._process.exitcode
        return f"by signal {-code}" if code is not None and code < 0 else f"with {code}"

    def end(self) -> None:
        """End the process, whatever it does."""
        self._own.close()
        self._process.terminate()
        self._process.join(_SECONDS_TO_END)
        self._process.kill()


def _decode(connection: Connection, sample_rate: int, seconds: float) -> None:
    """Decode the clips that come until no more come, in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal tells every process; the one that asks ends this one
    torch.set_num_threads(1)
    with suppress(EOFError, OSError):  # whoever asked is gone
        while True:
            clip: Clip = pickle.loads(connection.recv_bytes())
            try:
                waveform = waveform_of(clip, clip.content(), sample_rate, seconds)
                connection.send_bytes(b"w   " + waveform.numpy().tobytes())
            except UnreadableClipError as error:
                connection.send_bytes(b"e   " + error.reason.encode(errors="surrogateescape"))
