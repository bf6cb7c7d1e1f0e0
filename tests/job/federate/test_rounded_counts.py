"""`checkpoint.round_counts` rounds what a node tells of its clips, and by what it counts, wherever it is trained."""

from pathlib import Path

import torch

from feda2v_cli.federation.standardise import Standardisation, Sums
from feda2v_cli.federation.strategy.averaging import by_clips
from feda2v_cli.flower.letter import Letter
from feda2v_cli.flower.node import NodeWork
from feda2v_cli.job.federate.plan import plan_federation
from feda2v_cli.job.federate.set_up import set_up_federation
from feda2v_cli.job.flower.node import prepare_node
from feda2v_cli.job.nodes import embed_nodes
from feda2v_cli.profile.load import LoadedProfile, load_profile
from feda2v_cli.run.event import ignore_event

CLASSES = ["dog", "rain", "siren"]


def profile(place: Path, multiple: int) -> LoadedProfile:
    """Two nodes with 32 clips of each class that train."""
    settings = [
        'nodes=[{id=0, classes=["dog"]}, {id=1, classes=["rain", "siren"]}]',
        "synthetic.per_class=0",
        "flower.share=['updates']",
        f"checkpoint.dir='{place}/generators'",
        f"checkpoint.round_counts={multiple}",
    ]
    return load_profile("unified", settings=settings, environment={})


def joined(place: Path, multiple: int, node: int = 1) -> Letter:
    work = NodeWork(prepare_node(profile(place, multiple), node, ignore_event))
    return work(Letter("join", {"generators": False, "sums": True, "classes": CLASSES}))


def sums_of(letter: Letter) -> Sums:
    dim = (letter.value("shape")[1],)
    return Sums(letter.value("tokens"), letter.array("sums.total", dim), letter.array("sums.squares", dim))


def test_the_letter_of_a_node_has_no_exact_count_of_clips_that_train_where_counts_are_rounded(tmp_path: Path) -> None:
    exact, rounded = joined(tmp_path, 1), joined(tmp_path, 20)
    tokens = exact.value("shape")[0]
    assert (exact.value("clips"), exact.value("tokens")) == ({"rain": 32, "siren": 32}, 64 * tokens)
    assert (rounded.value("clips"), rounded.value("tokens")) == ({"rain": 40, "siren": 40}, 80 * tokens)
    left, right = (sums_of(letter).total / letter.value("tokens") for letter in (exact, rounded))
    torch.testing.assert_close(left.float(), right.float())
    # Of exact sums, scaled, the right count alone would make whole multiples of the clips' least bit.
    assert not torch.equal(left.float().double(), left)
    assert torch.equal(right.float().double(), right)


def test_a_node_counts_by_what_it_tells_in_one_process_as_on_several_machines(tmp_path: Path) -> None:
    plan = plan_federation(profile(tmp_path, 20))
    setup = set_up_federation(plan, embed_nodes(plan.nodes, plan.encoder, plan.profile, ignore_event))
    assert [len(node.clips) for node in setup.nodes] == [32, 64]
    assert by_clips(setup.nodes).tolist() == [40, 80]
    there = Standardisation.of(sums_of(joined(tmp_path, 20, node)) for node in (0, 1))
    assert torch.equal(there.mean, setup.standardisation.mean)
    assert torch.equal(there.scale, setup.standardisation.scale)
