import subprocess
import sys

#: Page faults of steps that each make and free two tensors of 16 MiB, after some to warm up.
STEPS = """
import resource, sys, torch
from feda2v_cli.engine.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def step():
    first = torch.ones(4 << 20)
    return float((first + 1)[0])
for _ in range(3): step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10): step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    return int(subprocess.check_output([sys.executable, "-c", STEPS, how], text=True))


def test_memory_that_is_freed_serves_the_next_step() -> None:
    # Where the heap happens to lie, some of it is given back all the same, and some of it is not without asking.
    kept, given_back = [], []
    for _ in range(8):
        kept.append(page_faults("keep"))
        given_back.append(page_faults("give back"))
        if 4 * min(kept) < max(given_back):
            break
    assert 4 * min(kept) < max(given_back), (kept, given_back)
