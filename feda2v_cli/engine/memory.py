"""What training takes of memory: which models fit in one stack, and keeping what a step frees for the next."""

import ctypes
import sys
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TypeVar

import torch

from feda2v_cli.engine.free_memory import available_bytes
from feda2v_cli.engine.stack import BYTES_PER_WEIGHT

#: Share of the free memory that training takes when nobody says how much.
AUTO_SHARE = 0.7

#: Most bytes of a stack's weights on a CPU. Half as wide takes 6 % more of a processor, and 18 % more where two
#: threads share Python; beyond `LARGEST_ON_HEAP` it is twice as long: every operation's result is mapped anew, and the
#: kernel clears its pages.
QUICK_BYTES = 24 * 1024**2

#: Most bytes that a step of a stack computes with on a CPU: of embeddings that are long, wider stacks are no quicker
#: either, and every model takes a hundred megabytes.
QUICK_STEP_BYTES = 256 * 1024**2

#: Of malloc.h in glibc; see mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

#: Tensors up to this size come from the heap; glibc takes no larger value (HEAP_MAX_SIZE / 2).
LARGEST_ON_HEAP = 32 * 1024**2
#: Freed memory that the process keeps at the end of its heap: more than a step of a stack frees.
KEPT_BYTES = 256 * 1024**2

_UNITS = {"K": 1, "M": 2, "G": 3, "T": 4}

T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """What one model needs in memory.

    Attributes:
        weights: trained numbers.
        activations: numbers that the backward pass keeps for one item of a batch.
        data: numbers of its data set.
        batch: items of a step.
        held: bytes that stay beside the training, like a projection, in the host's memory wherever training happens.
    """

    weights: int
    activations: int
    data: int
    batch: int
    held: int = 0

    @property
    def bytes(self) -> int:
        """Bytes of one model while it trains, wherever they are."""
        return self.trained + self.held

    @property
    def trained(self) -> int:
        """Bytes of the training itself, on the device."""
        return self.weights * BYTES_PER_WEIGHT + 4 * (self.activations * self.batch + self.data)


def memory_budget(memory: str, device: torch.device) -> int:
    """Bytes that training may take.

    Args:
        memory: `auto`, or a size like `2GB` or `512 MiB`; a B unit is decimal, an iB unit binary.
        device: whose memory it is.
    """
    if memory != "auto":
        unit = memory.rstrip("iB")[-1]
        return int(float(memory.rstrip("KMGTiB ")) * (1024 if "i" in memory else 1000) ** _UNITS[unit])
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free * AUTO_SHARE)
    return int(available_bytes() * AUTO_SHARE)  # of the host; a Mac's GPU shares it


def quick_width(cost: Cost, device: torch.device) -> int | None:
    """Most models that are quicker together than in two stacks; None where wider is always quicker.

    Args:
        cost: of one model.
        device: where training happens.
    """
    if device.type != "cpu":
        return None
    step = 4 * cost.activations * cost.batch
    return max(1, min(QUICK_BYTES // (4 * cost.weights), QUICK_STEP_BYTES // max(1, step)))


def stacks(
    models: Sequence[T],
    like: Callable[[T], Hashable],
    cost: Callable[[T], int],
    budget: int,
    widest: int | None = None,
) -> list[list[T]]:
    """Deal models into stacks that train one after the other.

    Args:
        models: in the order of their importance to the reader; stacks keep it.
        like: models with an equal value may share a stack (architecture, steps an epoch, optimiser).
        cost: bytes of one model.
        budget: bytes that a stack may take; a model that is dearer than that gets a stack of its own.
        widest: most models of a stack, whatever the budget; None for no such limit.
    """
    alike: dict[Hashable, list[T]] = defaultdict(list)
    for model in models:
        alike[like(model)].append(model)
    dealt: list[list[T]] = []
    for group in alike.values():
        width = min(max(1, budget // max(map(cost, group))), widest or len(group))
        # Equal widths, so that the last stack is not a narrow one.
        count = -(-len(group) // width)
        bounds = [len(group) * part // count for part in range(count + 1)]
        dealt += [group[start:end] for start, end in pairwise(bounds)]
    return dealt


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on the CPU or on a GPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


@cache
def keep_freed_memory() -> None:
    """Have the C library keep what training frees, once for the process; only glibc does otherwise.

    Every step makes and frees the same large tensors. glibc gives them back to the kernel when they are freed, and the
    kernel clears each page of them when the next step asks for it: up to half of the time of a step of 1,000 adapters.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, LARGEST_ON_HEAP)
            mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
