"""What a GPU saves: time of both runs on the CPU and on the GPU of this machine, in about three minutes.

python benchmarks/gpu.py            on the GPU that PyTorch finds
python benchmarks/gpu.py cpu        the CPU beside itself, to try the benchmark where there is none
"""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from federate import _federation, random_setup
from torch import Tensor
from train_generators import sets_of

from feda2v_cli.federation.setup import Setup
from feda2v_cli.generator.vae_fitting import VaeFitting
from feda2v_cli.job.machine import choose_device
from feda2v_cli.profile.schema import GeneratorSection

CPU = torch.device("cpu")


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of some work whose like has been done before."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def run_1(device: torch.device) -> None:
    section = GeneratorSection(rounds=2, epochs=5)
    for models, clips in ((15, 32), (100, 32), (50, 400)):
        taken = {}
        # Fitting is of the CPU, whatever the device: one training set does for all.
        one = sets_of(1, clips, 1, section)[0]
        sets = [replace(one, spec=replace(one.spec, node=node)) for node in range(models)]
        for place in (CPU, device):
            fitting = VaeFitting(sets, section, section.learning_rate, 0, place)
            fitting.train_round(1)
            taken[place] = seconds_of(partial(fitting.train_round, 2), place)
        report(f"RUN 1, {models} generators of {clips} clips, 5 epochs", list(taken.values()))


def run_2(device: torch.device) -> None:
    for nodes in (10, 100, 1000):
        seconds = []
        for place in (CPU, device):
            with tempfile.TemporaryDirectory() as directory:
                federation = _federation(on(random_setup(nodes, clips=4), place), Path(directory))
                federation.run_round(1)
                seconds.append(seconds_of(partial(federation.run_round, 2), place))
        report(f"RUN 2, a round of {nodes} nodes of 4 clips", seconds)


def on(setup: Setup, device: torch.device) -> Setup:
    """The same federation, trained on another device."""
    held_out, clips = setup.held_out, setup.clips
    assert isinstance(held_out.embeddings, Tensor)
    assert isinstance(clips.embeddings, Tensor)
    return replace(
        setup,
        device=device,
        spaces=tuple(replace(space, targets=space.targets.to(device)) for space in setup.spaces),
        clips=replace(clips, embeddings=clips.embeddings.to(device), labels=clips.labels.to(device)),
        held_out=replace(held_out, embeddings=held_out.embeddings.to(device), labels=held_out.labels.to(device)),
    )


def report(title: str, seconds: list[float]) -> None:
    print(f"{title:50} {seconds[0]:8.3f} s {seconds[1]:8.3f} s {seconds[0] / seconds[1]:7.1f} x", flush=True)


def main() -> None:
    device = choose_device(sys.argv[1] if sys.argv[1:] else "cuda")
    name = torch.cuda.get_device_name() if device.type == "cuda" else "the CPU again"
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, {name}")
    print(f"{'':50} {'CPU':>10} {device.type:>10}")
    run_1(device)
    run_2(device)


if __name__ == "__main__":
    main()
