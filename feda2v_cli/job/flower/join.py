"""Before round 1: every node is there, all of them agree, and their generators are sound."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from feda2v_cli.errors import FailedError
from feda2v_cli.federation.pool import Node, Pool, learning_rates
from feda2v_cli.federation.retrieval import HeldOut
from feda2v_cli.federation.setup import Setup
from feda2v_cli.federation.standardise import Standardisation, Sums
from feda2v_cli.federation.strategy.registry import make_strategy
from feda2v_cli.federation.synthetic import NodeGenerator, standardised_by_samples
from feda2v_cli.flower.letter import Letter, LetterError
from feda2v_cli.flower.link import Link
from feda2v_cli.flower.node import keep_checkpoints, versions
from feda2v_cli.job.federate.find_generators import GeneratorSet, find_generators
from feda2v_cli.job.federate.plan import FederationPlan, needs_samples, standardises_by_samples
from feda2v_cli.job.federate.set_up import makers
from feda2v_cli.profile.load import LoadedProfile
from feda2v_cli.run.event import LettersExchanged, Listener, Noted, Warned
from feda2v_cli.verifier.expectation import Expectation


def wait_for_nodes(link: Link, nodes: Sequence[int], seconds: float, emit: Listener, check: Callable[[], None]) -> None:
    """Wait until all nodes are connected.

    Args:
        link: to the server.
        nodes: their ids.
        seconds: that are waited at most.
        emit: is told for whom.
        check: raises when waiting is no use.

    Raises:
        FailedError: some are missing after that time.
    """
    missing = link.wait_for(nodes, len(nodes), seconds, lambda text: emit(Noted(text)), check)
    if missing:
        raise FailedError(
            f"{', '.join(f'node {node}' for node in missing)}: not connected to {link.address} after {seconds:.0f} s",
            [f"{len(nodes) - len(missing)} of {len(nodes)} nodes are there"],
            hint=f"feda2v flower node -p node.toml --id {missing[0]} --server {link.address} --keys DIR",
        )


def join(
    plan: FederationPlan,
    loaded: LoadedProfile,
    link: Link,
    directory: Path,
    emit: Listener,
    check: Callable[[], None],
) -> tuple[FederationPlan, Setup, list[bytes]]:
    """Ask every node who it is and what it has, and put the federation together.

    Args:
        plan: what is going to be done, without clips and generators.
        loaded: the profile.
        link: to the server.
        directory: where the nodes' generators go.
        emit: is told what happens.
        check: raises when waiting is no use.

    Returns:
        The plan with the generators, the federation, and the checkpoints of all generators.

    Raises:
        FailedError: a node does not answer, or does not agree.
        FindingsError: the generators are not what the run needs.
    """
    ids = sorted(node.id for node in plan.profile.nodes)
    samples = needs_samples(plan.profile)
    sums = plan.trained is None and not standardises_by_samples(plan.profile)
    ask = Letter("join", {"generators": samples, "sums": sums, "classes": list(plan.classes)})
    replies = link.ask(dict.fromkeys(ids, ask), plan.profile.federation.deadline, check)
    problems = [f"node {node} {reply.problem}" for node, reply in replies.items() if reply.letter is None]
    joined: dict[int, Letter] = {}
    for node, reply in replies.items():
        if reply.letter is None:
            continue
        wrong = _disagreements(plan, node, reply.letter, samples=samples)
        problems += [f"node {node}: {text}" for text in wrong]
        joined[node] = reply.letter
    if problems:
        raise FailedError(
            "the nodes do not agree" if joined else "no node can take part",
            [*problems, "nothing has been trained"],
            hint="mend the profile of the node that is named, and start it again",
        )
    emit(
        LettersExchanged(
            "join", None, len(ids), ask.bytes * len(ids), sum(letter.bytes for letter in joined.values()),
            max(reply.seconds for reply in replies.values()), 0.0,
        )
    )  # fmt: skip
    checkpoints: list[bytes] = []
    if samples:
        checkpoints = [content for letter in joined.values() for content in letter.checkpoints]
        plan = replace(plan, generators=_keep(plan, loaded, joined, directory, emit))
    return plan, _setup(plan, joined), checkpoints


def _disagreements(plan: FederationPlan, node: int, letter: Letter, *, samples: bool) -> list[str]:
    """In what a node differs from the federation's profile."""
    if letter.kind == "refused":
        return [f"it refuses — {letter.value('reason')}"]
    try:
        section = next(section for section in plan.profile.nodes if section.id == node)
        wanted = {
            "node": (node, "its id"),
            "encoder": (dict(plan.encoders[node].identity), "the audio encoder"),
            "shape": (list(plan.encoders[node].shape), "the shape of an embedding"),
            "targets": (plan.targets.fingerprint, "the targets of the classes"),
            "classes": (sorted(section.classes), "its classes"),
            "versions": (versions(), "the versions"),
        }
        wrong = [
            f"{title} — it has {_short(letter.value(name))}, the federation {_short(value)}"
            for name, (value, title) in wanted.items()
            if letter.value(name) != value
        ]
        shares = letter.value("shares")
        if make_strategy(plan.profile.federation).trainers(_placeholder(node), {}) and "updates" not in shares:
            wrong.append(f"it shares {', '.join(shares)}, and strategy {plan.strategy.name} needs updates")
        if samples and not letter.checkpoints:
            wrong.append("it has no generators that are sound, or several sets: its log says more")
    except (LetterError, LookupError, TypeError) as error:
        wrong = [f"it sent what cannot be used: {error}"]
    return wrong


def _placeholder(node: int) -> tuple[Node, ...]:
    return (Node(node, torch.arange(0), {}, {}),)


def _short(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner}" for key, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _keep(
    plan: FederationPlan, loaded: LoadedProfile, joined: Mapping[int, Letter], directory: Path, emit: Listener
) -> GeneratorSet:
    """The generators that have arrived, after all of the verifier's checks; all of them or none."""
    directory.mkdir(parents=True, exist_ok=True)
    for path in directory.iterdir():
        path.unlink()
    for node, letter in joined.items():
        try:
            keep_checkpoints(directory, letter.checkpoints, node)
        except LetterError as error:
            raise FailedError(
                f"node {node} sent {error.title}",
                ["no generator has been used"],
                hint=f"feda2v checkpoints verify, on node {node}",
            ) from error
    expectation = Expectation.from_profile(loaded, loaded.name, tuple(sorted(joined)), plan.encoder.identity)
    expectation = replace(expectation, directory=directory)
    return find_generators(expectation, ["federate"], lambda finding: emit(Warned(str(finding.message))))


def _setup(plan: FederationPlan, joined: Mapping[int, Letter]) -> Setup:
    """The federation as the server knows it: no clip of it is here."""
    tokens, dim = plan.encoder.shape
    classes = plan.classes
    generators = makers(plan)
    sections = {section.id: section for section in plan.profile.nodes}
    members = []
    for node, letter in joined.items():
        clips = {str(name): int(count) for name, count in letter.value("clips").items()}
        members.append(
            Node(
                id=node,
                clips=torch.arange(sum(clips.values())),
                clips_of_class={classes.index(name): count for name, count in clips.items()},
                learning_rates=learning_rates(plan.profile.adapter, sections[node]),
                samples_per_class=plan.samples_of(sum(clips.values()), len(clips)),
            )
        )
    nothing = torch.zeros(0, tokens, dim)
    labels = torch.zeros(0, dtype=torch.long)
    return Setup(
        profile=plan.profile,
        spaces=tuple(replace(space, targets=space.targets.to(plan.device)) for space in plan.spaces),
        nodes=tuple(members),
        clips=Pool(nothing.to(plan.device), labels.to(plan.device), 0),
        held_out=HeldOut(nothing, labels, (), tuple(joined)),
        standardisation=_standardisation(plan, joined, generators),
        generators=generators,
        budget=plan.budget,
        device=plan.device,
        trained={} if plan.trained is None else plan.trained.parameters,
    )


def _standardisation(
    plan: FederationPlan, joined: Mapping[int, Letter], generators: Sequence[NodeGenerator]
) -> Standardisation:
    if plan.trained is not None:
        return plan.trained.standardisation
    if standardises_by_samples(plan.profile):
        return standardised_by_samples(generators, plan.profile.experiment.seed)
    dim = plan.encoder.shape[1]
    return Standardisation.of(
        Sums(
            int(letter.value("tokens")),
            letter.array("sums.total", (dim,)),
            letter.array("sums.squares", (dim,)),
        )
        for letter in joined.values()
    )
