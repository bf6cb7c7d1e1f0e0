import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feda2v_cli.engine.free_memory import available_bytes
from feda2v_cli.engine.memory import (
    QUICK_BYTES,
    QUICK_STEP_BYTES,
    Cost,
    is_out_of_memory,
    memory_budget,
    quick_width,
    stacks,
)

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2GB", 2_000_000_000), ("1.5 GB", 1_500_000_000), ("512MiB", 512 * 1024**2), ("10KB", 10_000), ("1TiB", 1024**4)],
)
def test_a_size_is_read_with_its_unit(text: str, expected: int) -> None:
    assert memory_budget(text, CPU) == expected


def test_auto_leaves_some_of_the_free_memory() -> None:
    free = available_bytes()
    assert 0.3 * free < memory_budget("auto", CPU) < free


def test_models_that_are_alike_share_a_stack() -> None:
    assert stacks("aAbB", str.lower, lambda _: 1, budget=10) == [["a", "A"], ["b", "B"]]


def test_a_stack_takes_no_more_than_the_budget_and_stacks_are_equally_wide() -> None:
    assert [len(stack) for stack in stacks(range(10), lambda _: 0, lambda _: 3, budget=12)] == [3, 3, 4]


def test_a_stack_is_no_wider_than_is_quick_whatever_the_budget() -> None:
    assert [len(stack) for stack in stacks(range(10), lambda _: 0, lambda _: 3, budget=100, widest=4)] == [3, 3, 4]
    assert [len(stack) for stack in stacks(range(4), lambda _: 0, lambda _: 3, budget=6, widest=4)] == [2, 2]


def test_a_quick_stack_fits_its_bytes_on_a_cpu_and_has_no_limit_elsewhere() -> None:
    cost = Cost(weights=57_600, activations=10_000, data=100, batch=16)
    assert quick_width(cost, CPU) == QUICK_BYTES // (4 * cost.weights)
    assert quick_width(replace(cost, weights=QUICK_BYTES), CPU) == 1
    assert quick_width(cost, torch.device("cuda")) is None


def test_a_quick_stack_computes_with_no_more_than_its_bytes_in_a_step() -> None:
    cost = Cost(weights=57_600, activations=1_000_000, data=100, batch=16)
    assert quick_width(cost, CPU) == QUICK_STEP_BYTES // (4 * cost.activations * cost.batch) == 4
    assert quick_width(replace(cost, activations=10**9), CPU) == 1


def test_a_model_that_is_dearer_than_the_budget_is_trained_alone() -> None:
    assert stacks([1, 2], lambda _: 0, lambda _: 100, budget=1) == [[1], [2]]


@given(st.lists(st.integers(1, 5)), st.integers(1, 40))
def test_every_model_is_dealt_once(models: list[int], budget: int) -> None:
    dealt = stacks(models, lambda model: model % 2, lambda model: model, budget)
    assert sorted(model for stack in dealt for model in stack) == sorted(models)


def test_an_allocation_that_fails_is_out_of_memory() -> None:
    code = (
        "import resource, torch\n"
        "from feda2v_cli.engine.memory import is_out_of_memory\n"
        "resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))\n"
        "try: torch.zeros(1 << 34)\n"
        "except Exception as error: print(is_out_of_memory(error))\n"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "True\n"


def test_another_error_is_not_out_of_memory() -> None:
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
