"""What samples are worth in a federation, and what a round costs beside the training itself.

    python benchmarks/federate.py gap        accuracy with samples, in one shot, with fedavg and in central training
    python benchmarks/federate.py overhead   a round against a plain PyTorch loop, at 10 nodes
    python benchmarks/federate.py growth     time and memory of a round from 10 to 1,000 nodes

`gap` trains generators and federations anew for every seed, each without another fold of clips. It tests on built-in
sounds that no fold holds, 200 of every class, or with --profile on the held-out fold of one's own recordings. With its
defaults it takes about 40 minutes on 2 cores.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean

import torch
from setting import settings_of_seed, sounds_of_no_fold
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from feda2v_cli.adapter import Adapter
from feda2v_cli.embedding.embed import embed
from feda2v_cli.engine.memory import QUICK_BYTES
from feda2v_cli.engine.stack import Stack, parameters_of, row_of
from feda2v_cli.engine.train import ModelData, Optimiser, Trainer
from feda2v_cli.federation.local_training import LocalTraining
from feda2v_cli.federation.pool import Node, Pool
from feda2v_cli.federation.retrieval import HeldOut
from feda2v_cli.federation.round import Federation
from feda2v_cli.federation.setup import Setup
from feda2v_cli.federation.space import Space
from feda2v_cli.federation.standardise import Standardisation
from feda2v_cli.federation.synthetic import NodeGenerator, standardised_by_samples
from feda2v_cli.job.federate.plan import FederationPlan, plan_federation
from feda2v_cli.job.federate.rounds import ResumableFederation
from feda2v_cli.job.federate.set_up import set_up_federation
from feda2v_cli.job.nodes import embed_nodes
from feda2v_cli.job.train_generators.run import train_generators
from feda2v_cli.profile.load import load_profile
from feda2v_cli.profile.schema import Profile
from feda2v_cli.run.event import ignore_event

GROUPS = {
    "animals": ["dog", "rooster", "pig", "cow", "frog"],
    "nature": ["rain", "sea_waves", "crackling_fire", "crickets", "chirping_birds"],
    "mechanical": ["helicopter", "chainsaw", "siren", "car_horn", "engine"],
}
CLASSES = [name for names in GROUPS.values() for name in names]
GRANULARITIES = ("unified", "per_class", "per_group")
SEED_OF_DATA = 0


def gap(arguments: argparse.Namespace) -> None:
    print(f"{arguments.rounds} rounds, {arguments.samples} samples a class, {arguments.seeds} seeds", flush=True)
    print(
        "layout  granularity   seed   fedavg  one shot  samples  central   samples after 5 rounds (fedavg, central)",
        flush=True,
    )
    for layout in ["profile"] if arguments.profile else arguments.layouts:
        baselines: dict[int, dict[str, list[float]]] = {}
        for granularity in arguments.granularities:
            finals = []
            for seed in range(arguments.seeds):
                curves = _curves(layout, granularity, seed, arguments, baselines)
                last = {name: curve[-1] for name, curve in curves.items()}
                finals.append(last)
                first = {name: curve[0] for name, curve in curves.items()}
                print(
                    f"{layout:7} {granularity:11} {seed:6}  {last['fedavg']:7.3f} {last['one_shot']:9.3f} "
                    f"{last['chosen']:8.3f} {last['central']:8.3f}   "
                    f"{first['chosen']:.3f} ({first['fedavg']:.3f}, {first['central']:.3f})",
                    flush=True,
                )
            means = {name: mean(last[name] for last in finals) for name in finals[0]}
            fedavg, samples, central = means["fedavg"], means["chosen"], means["central"]
            closed = (
                f"closes {(samples - fedavg) / (central - fedavg):.0%} of the gap"
                if central - fedavg > 0.01
                else f"no gap to close; samples - central = {samples - central:+.3f}"
            )
            print(
                f"{layout:7} {granularity:11}   mean  {fedavg:7.3f} {means['one_shot']:9.3f} {samples:8.3f} "
                f"{central:8.3f}   {closed}"
            )


def _curves(
    layout: str,
    granularity: str,
    seed: int,
    arguments: argparse.Namespace,
    baselines: dict[int, dict[str, list[float]]],
) -> dict[str, list[float]]:
    """Accuracies every five rounds, by federation."""
    with tempfile.TemporaryDirectory() as place:
        profile = arguments.profile or str(_profile(Path(place), layout))
        settings = [
            *settings_of_seed(seed, place),
            f"federation.rounds={arguments.rounds}",
            f"synthetic.per_class={arguments.samples}",
        ]
        train_generators(load_profile(profile, settings=[*settings, f"generator.granularity={granularity}"]))
        plan = plan_federation(load_profile(profile, settings=[*settings, "generator.granularity=auto"]))
        setup = set_up_federation(plan, embed_nodes(plan.nodes, plan.encoder, plan.profile, ignore_event))
        if arguments.unseen and not arguments.profile:
            setup = replace(setup, held_out=unseen_clips(setup, plan, arguments.unseen))
        if seed not in baselines:
            baselines[seed] = {name: _curve(setup.baseline(name), Path(place) / name) for name in ("fedavg", "central")}
        one_shot = _curve(setup.with_strategy("one_shot"), Path(place) / "one_shot")
        return baselines[seed] | {"chosen": _curve(setup, Path(place) / "chosen"), "one_shot": one_shot}


def unseen_clips(setup: Setup, plan: FederationPlan, per_class: int) -> HeldOut:
    """Built-in sounds that no fold holds: as many as it takes to tell close accuracies apart."""
    clips = sounds_of_no_fold(setup.classes, per_class)
    values = embed(clips, plan.encoder, plan.profile.embedding.cache.expanduser()).values
    labels = torch.tensor([setup.classes.index(clip.class_name) for clip in clips])
    nodes = setup.held_out.nodes
    return HeldOut(setup.standardisation(values), labels, (nodes,) * len(clips), nodes)


def one_shot(
    settings: Sequence[str], generators: Sequence[NodeGenerator], embeddings: torch.Tensor, labels: torch.Tensor
) -> float:
    """Accuracy after one-shot federation of the nodes of the profile `unified`, which are those of the layout 3x5.

    Args:
        settings: of the profile.
        generators: of all nodes.
        embeddings: of the clips that judge, [clips, tokens, dim].
        labels: places of their classes among the profile's, [clips].
    """
    plan = plan_federation(load_profile("unified", settings=[*settings, "synthetic.per_class=0"], environment={}))
    profile = load_profile("unified", settings=[*settings, "federation.strategy=one_shot"], environment={}).profile
    assert isinstance(profile.synthetic.per_class, int)
    standardisation = standardised_by_samples(generators, profile.experiment.seed)
    none = torch.zeros(0, dtype=torch.long)
    nodes = tuple(Node(node.id, none, {}, {}, profile.synthetic.per_class) for node in profile.nodes)
    ids = tuple(node.id for node in nodes)
    setup = Setup(
        profile=profile,
        spaces=plan.spaces,
        nodes=nodes,
        clips=Pool(embeddings[:0], none, 0),
        held_out=HeldOut(standardisation(embeddings), labels, (ids,) * len(labels), ids),
        standardisation=standardisation,
        generators=tuple(generators),
        budget=plan.budget,
        device=plan.device,
    )
    with tempfile.TemporaryDirectory() as place:
        federation = _federation(setup, Path(place))
        for number in range(1, profile.federation.rounds + 1):
            federation.run_round(number)
        return federation.evaluate(profile.federation.rounds).accuracy


def _profile(place: Path, layout: str) -> Path:
    """The built-in sounds on the nodes of a layout."""
    nodes = list(GROUPS.values()) if layout == "3x5" else [[name] for name in CLASSES]
    lines = [
        "[generator.groups]",
        *(f"{name} = {names}" for name, names in GROUPS.items()),
        *(f"[[nodes]]\nid = {node}\nclasses = {names}" for node, names in enumerate(nodes)),
    ]
    path = place / "profile.toml"
    path.write_text("\n".join(lines).replace("'", '"'), encoding="utf-8")
    return path


def _curve(setup: Setup, place: Path) -> list[float]:
    federation = _federation(setup, place)
    accuracies = []
    for number in range(1, setup.profile.federation.rounds + 1):
        federation.run_round(number)
        if number % 5 == 0:
            accuracies.append(federation.evaluate(number).accuracy)
    return accuracies


def _federation(setup: Setup, place: Path) -> Federation:
    place.mkdir(parents=True, exist_ok=True)
    return Federation(setup, place, lambda models, width: print(f"narrowed from {models} to {width}"))


def random_setup(nodes: int, clips: int, budget: int = 512 * 1024**2) -> Setup:
    """A federation of random clips, without samples."""
    random = torch.Generator().manual_seed(SEED_OF_DATA)
    embeddings = torch.randn(nodes * clips, 4, 768, generator=random)
    labels = torch.randint(0, len(CLASSES), (nodes * clips,), generator=random)
    profile = Profile.model_validate(
        {
            "federation": {"rounds": 50},
            "synthetic": {"per_class": 0},
            "nodes": [{"id": node, "classes": CLASSES} for node in range(nodes)],
        }
    )
    spaces = tuple(
        Space.of(name, torch.randn(len(CLASSES), *shape, generator=random), 768, profile.adapter.hidden)
        for name, shape in {"clip": (64,), "t5": (4, 64)}.items()
    )
    members = []
    for node in range(nodes):
        places = torch.arange(node * clips, (node + 1) * clips)
        held = dict.fromkeys(labels[places].tolist(), 1)
        members.append(Node(node, places, held, {"clip": 1e-3, "t5": 1e-3}))
    return Setup(
        profile=profile,
        spaces=spaces,
        nodes=tuple(members),
        clips=Pool(embeddings, labels, len(labels)),
        held_out=HeldOut(embeddings[:100], labels[:100], ((0,),) * 100, tuple(range(nodes))),
        standardisation=Standardisation(torch.zeros(768), torch.ones(768)),
        generators=(),
        budget=budget,
        device=torch.device("cpu"),
    )


def with_federation(setup: Setup, **values: object) -> Setup:
    """The same federation with other values of the profile's section federation."""
    federation = setup.profile.federation.model_copy(update=values)
    return replace(setup, profile=setup.profile.model_copy(update={"federation": federation}))


def overhead(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    setup = random_setup(nodes=10, clips=arguments.clips)
    trained = 0.0
    train = LocalTraining.train

    def timed(self: LocalTraining, *given: object) -> object:
        nonlocal trained
        stacks = train(self, *given)  # type: ignore[arg-type]
        while True:
            started = time.perf_counter()
            stack = next(stacks, None)
            trained += time.perf_counter() - started
            if stack is None:
                return
            yield stack

    LocalTraining.train = timed  # type: ignore[method-assign,assignment]
    with tempfile.TemporaryDirectory() as place:
        timed_setup = with_federation(setup, rounds=arguments.repeat, evaluate_every=1)
        run = ResumableFederation("chosen", timed_setup, Path(place), ignore_event, keep_nodes=True)
        started = time.perf_counter()
        run.run()
        total = (time.perf_counter() - started) / arguments.repeat
        trained /= arguments.repeat
    plain = mean(_plain_loop(setup) for _ in range(arguments.repeat))
    print(f"10 nodes with {arguments.clips} clips, 3 epochs, batch 16, both spaces, one thread; every round is")
    print("aggregated, evaluated and kept on disk")
    print(f"plain PyTorch loop        {plain:7.3f} s a round")
    print(f"round                     {total:7.3f} s, of which local training {trained:.3f} s")
    print(f"overhead                  {total - trained:7.3f} s, {(total - trained) / plain:.1%} of the plain loop")


def _plain_loop(setup: Setup) -> float:
    """Seconds of the same local training, node after node, as one writes it by hand."""
    started = time.perf_counter()
    for space in setup.spaces:
        start = parameters_of(space.initial_parameters(0), space.shapes)
        for node in setup.nodes:
            adapter = Adapter(768, setup.profile.adapter.hidden, space.adapter.target)
            adapter.load_state_dict(start)
            optimiser = torch.optim.AdamW(adapter.parameters(), lr=1e-3, weight_decay=1e-4, fused=True)
            for _ in range(setup.profile.federation.local_epochs):
                for batch in node.clips[torch.randperm(len(node.clips))].split(setup.profile.adapter.batch_size):
                    optimiser.zero_grad()
                    noise = setup.profile.adapter.noise * torch.randn(len(batch), 1, 768)
                    output = adapter(setup.clips.embeddings[batch] + noise)
                    loss = (output - space.targets[setup.clips.labels[batch]]).square().mean()
                    loss.backward()
                    clip_grad_norm_(adapter.parameters(), setup.profile.adapter.clip_norm)
                    optimiser.step()
            row_of(dict(adapter.named_parameters()))
    return time.perf_counter() - started


def growth(arguments: argparse.Namespace) -> None:
    print(
        f"{arguments.strategy}, 4 clips a node, 3 epochs, both spaces, one thread, "
        f"stacks of at most {arguments.memory} MiB"
    )
    print(" nodes   seconds a round      of CPU   the floor   peak memory   beside the clips")
    for nodes in arguments.nodes:
        words = [sys.executable, __file__, "grow-one", "--nodes", str(nodes), "--memory", str(arguments.memory)]
        words += ["--strategy", arguments.strategy]
        print(subprocess.run(words, check=True, capture_output=True, text=True).stdout, end="", flush=True)


def grow_one(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    nodes = arguments.nodes[0]
    setup = with_federation(
        random_setup(nodes, clips=4, budget=arguments.memory * 1024**2), strategy=arguments.strategy
    )
    assert isinstance(setup.clips.embeddings, Tensor)
    clips = setup.clips.embeddings.nbytes / 1e6
    with tempfile.TemporaryDirectory() as place:
        federation = _federation(setup, Path(place))
        federation.run_round(1)
        started, used = time.perf_counter(), time.process_time()
        for number in (2, 3):
            federation.run_round(number)
        seconds, of_cpu = (time.perf_counter() - started) / 2, (time.process_time() - used) / 2
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(f"{nodes:6} {seconds:17.3f} {of_cpu:11.3f} {_floor(setup):11.3f} {peak:10.0f} MB {peak - clips:15.0f} MB")


def _floor(setup: Setup) -> float:
    """Seconds of a round's optimiser steps alone: 28 bytes of memory a weight and step, in stacks as wide."""
    seconds = 0.0
    for space in setup.spaces:
        weights = len(space.initial_parameters(0))
        wide = min(len(setup.nodes), QUICK_BYTES // (4 * weights))
        stack = Stack(space.shapes, torch.zeros(wide, weights))
        gradients, steps = torch.ones_like(stack.weights), 20
        trainer = Trainer(
            stack, [ModelData((node,), {"item": torch.zeros(1)}) for node in range(wide)], _no_loss,
            Optimiser(16, 1e-3, 1e-4, 1.0), 0,
        )  # fmt: skip
        trainer._move(gradients)
        started = time.perf_counter()
        for _ in range(steps):
            trainer._move(gradients)
        a_step = (time.perf_counter() - started) / steps / wide
        seconds += a_step * len(setup.nodes) * setup.profile.federation.local_epochs
    return seconds


def _no_loss(*_: object) -> dict[str, torch.Tensor]:
    return {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    of_gap = commands.add_parser("gap")
    of_gap.add_argument("--layouts", nargs="+", default=["3x5", "15x1"], choices=["3x5", "15x1"])
    of_gap.add_argument("--granularities", nargs="+", default=list(GRANULARITIES), choices=GRANULARITIES)
    of_gap.add_argument("--samples", default="10", help="samples a class: a number, or auto")
    of_gap.add_argument("--seeds", type=int, default=3)
    of_gap.add_argument("--rounds", type=int, default=50)
    tested = of_gap.add_mutually_exclusive_group()
    tested.add_argument("--unseen", type=int, default=200, help="clips a class made for the test; 0: the held-out fold")
    tested.add_argument("--profile", help="recordings of one's own on their nodes, in the place of the layouts")
    of_gap.set_defaults(command=gap)
    of_overhead = commands.add_parser("overhead")
    of_overhead.add_argument("--clips", type=int, default=160)
    of_overhead.add_argument("--repeat", type=int, default=10)
    of_overhead.set_defaults(command=overhead)
    for name, command in (("growth", growth), ("grow-one", grow_one)):
        of_growth = commands.add_parser(name)
        of_growth.add_argument("--nodes", type=int, nargs="+", default=[10, 100, 1000])
        of_growth.add_argument("--memory", type=int, default=256, help="MiB")
        of_growth.add_argument("--strategy", default="fedavg")
        of_growth.set_defaults(command=command)
    arguments = parser.parse_args()
    arguments.command(arguments)


if __name__ == "__main__":
    main()
