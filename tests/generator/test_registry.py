import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import torch
from generator_samples import SMALL, data, embeddings, fitted, spec

from feda2v_cli.generator.gaussian import GaussianFitting
from feda2v_cli.generator.registry import GENERATORS, cost, largest_shapes, same_steps
from feda2v_cli.generator.training_set import largest_rank, training_set
from feda2v_cli.profile.generator_names import GeneratorTypeName
from feda2v_cli.profile.schema import GeneratorSection


@pytest.mark.parametrize(("clips", "expected"), [(2, 1), (10, 9), (500, 16)])
def test_the_largest_rank_is_known_before_any_clip_is_read(clips: int, expected: int) -> None:
    assert largest_rank({"dog": clips}, 96, SMALL) == expected
    assert training_set(spec(), embeddings(clips), ["dog"] * clips, SMALL).projection.rank == expected


def test_a_larger_model_costs_more() -> None:
    five = dict.fromkeys(("dog", "cow", "pig", "frog", "rooster"), 8)
    assert cost({"dog": 40}, 96, SMALL).bytes < cost(five, 96, SMALL).bytes
    assert cost({"dog": 40}, 96, SMALL).bytes < cost({"dog": 40}, 96, SMALL.model_copy(update={"hidden": 64})).bytes


@pytest.mark.parametrize("kind", ["vae", "gaussian"])
@pytest.mark.parametrize("shrinkage", [0.0, 0.5])
@pytest.mark.parametrize("counts", [{"dog": 20}, {"dog": 12, "cow": 5}, {"dog": 12, "cow": 1}])
def test_no_tensor_is_larger_than_planned(kind: str, shrinkage: float, counts: dict[str, int]) -> None:
    section = SMALL.model_copy(update={"type": kind, "shrinkage": shrinkage})
    names = [name for name, count in counts.items() for _ in range(count)]
    sets = training_set(spec(0, *counts), embeddings(len(names)), names, section)
    fitting = GaussianFitting([sets], section) if kind == "gaussian" else fitted(sets, section=section)
    state, planned = fitting.generator(0).state(), largest_shapes(counts, 96, section)
    assert state.keys() == planned.keys()
    for name, shape in planned.items():
        assert all(size <= most for size, most in zip(state[name].shape, shape, strict=True)), name


def test_the_types_that_a_profile_may_name_are_those_that_there_are() -> None:
    assert set(get_args(GeneratorTypeName)) == GENERATORS.keys()


@pytest.mark.parametrize("name", GENERATORS)
def test_the_sizes_of_a_type_are_those_that_its_checkpoints_have(name: str) -> None:
    kind, sets = GENERATORS[name], data(classes=("dog", "cow"))
    fitting = kind.fitting([sets], SMALL, learning_rate=1e-3, seed=0, device=torch.device("cpu"))
    sampler = fitting.generator(0).sampler
    assert sampler.type == name
    assert sampler.architecture().keys() == set(kind.size_names) == kind.largest_sizes({"dog": 12}, 8, SMALL).keys()


PEAK = r"""
import re, sys, torch
from pathlib import Path
from generator_samples import spec
from feda2v_cli.generator.registry import set_up_bytes
from feda2v_cli.generator.training_set import training_set
from feda2v_cli.profile.schema import GeneratorSection

def peak():  # of this program alone: what getrusage says begins with the memory of the process that started it
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])

clips, section = int(sys.argv[1]), GeneratorSection()
torch.linalg.eigh(torch.eye(64, dtype=torch.double))  # what LAPACK takes the first time
before = peak()
data = training_set(spec(), torch.randn(clips, 4, 768), ["dog"] * clips, section)
data.components(section)
print(peak() - before, set_up_bytes({"dog": clips}, 4 * 768, section))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the peak there")
@pytest.mark.parametrize("clips", [200, 1200])
def test_what_fitting_takes_of_memory_is_known_before(clips: int) -> None:
    samples = Path(__file__).parents[1] / "samples"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(samples), os.environ.get("PYTHONPATH", "")])}
    words = [sys.executable, "-c", PEAK, str(clips)]
    taken, said = map(int, subprocess.check_output(words, text=True, env=environment).split())
    assert 0.6 * said - 8e6 < taken < 1.1 * said + 8e6


def test_more_clips_make_larger_batches_unless_the_profile_says_how_large() -> None:
    unset, said = GeneratorSection(), GeneratorSection(batch_size=16)
    assert [same_steps(clips, unset, 0.1)[0] for clips in (16, 40, 512, 2000)] == [1, 3, 32, 32]
    assert [same_steps(clips, said, 0.1)[0] for clips in (16, 40, 512, 2000)] == [1, 3, 32, 125]
    assert cost({"dog": 2000}, 96, unset).batch == 63
