"""What a node does when it is asked. It trains and evaluates as all nodes do, with the engine of a single process."""

import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from feda2v_cli import __version__
from feda2v_cli.checkpoint.defect import Defect
from feda2v_cli.checkpoint.file import load_content
from feda2v_cli.checkpoint.metadata import GeneratorMetadata
from feda2v_cli.counted import told_counts
from feda2v_cli.embedding.stored import StoredEmbeddings
from feda2v_cli.embedding.target import TextSources, make_targets
from feda2v_cli.engine.memory import memory_budget
from feda2v_cli.federation.engine import LocalEngine
from feda2v_cli.federation.inputs import inputs_of
from feda2v_cli.federation.pool import Node, Pool
from feda2v_cli.federation.retrieval import HeldOut
from feda2v_cli.federation.round import local_training
from feda2v_cli.federation.sampled_pool import SampledPool
from feda2v_cli.federation.setup import Setup
from feda2v_cli.federation.space import Space
from feda2v_cli.federation.standardise import Standardisation, Sums
from feda2v_cli.federation.synthetic import NodeGenerator
from feda2v_cli.flower.letter import Letter, LetterError
from feda2v_cli.profile.schema import AdapterSection, FederationSection, Profile, SyntheticSection
from feda2v_cli.verifier.loading import load_generators

_NOTHING: tuple[int, ...] = ()


@dataclass(frozen=True)
class NodeData:
    """What a node has. None of its tensors ever leaves it.

    Attributes:
        node: its id.
        profile: its own: device, memory, targets, and what it shares.
        device: where training happens.
        sources: where text encoders come from.
        encoder: identity of what made the embeddings.
        train: embeddings of clips that train, [clips, tokens, dim].
        train_classes: class of each.
        test: embeddings of clips that are held out, [clips, tokens, dim].
        test_classes: class of each.
        generators: its checkpoints, whole files.
    """

    node: int
    profile: Profile
    device: torch.device
    sources: TextSources
    encoder: dict[str, Any]
    train: StoredEmbeddings
    train_classes: tuple[str, ...]
    test: StoredEmbeddings
    test_classes: tuple[str, ...]
    generators: tuple[bytes, ...]


class NodeWork:
    """Answers letters.

    Args:
        data: what the node has.
    """

    def __init__(self, data: NodeData) -> None:
        self._data = data
        self._run: str | None = None
        self._setup: Setup | None = None
        self._engine: LocalEngine | None = None

    def __call__(self, letter: Letter) -> Letter:
        """The answer to a letter.

        Raises:
            LetterError: the letter asks for what the node's profile does not allow, or makes no sense.
            Feda2vError: the node cannot do it.
        """
        match letter.kind:
            case "join":
                return self._join(letter)
            case "train":
                self._refuse_unless_shared("updates")
                return self._train(letter) if self._is_prepared(letter) else Letter("unprepared")
            case "evaluate":
                return self._evaluate(letter) if self._is_prepared(letter) else Letter("unprepared")
        raise LetterError(f"a node is not asked for {letter.kind}")

    def _refuse_unless_shared(self, what: str) -> None:
        share = self._data.profile.flower.share
        if what not in share:
            raise LetterError(f"its profile shares {', '.join(share)}, and not {what}")

    def _join(self, letter: Letter) -> Letter:
        data = self._data
        if letter.value("generators"):
            self._refuse_unless_shared("generators")
        multiple = data.profile.checkpoint.round_counts
        told = told_counts(data.train_classes, multiple)
        rounded = None if multiple == 1 else sum(told.values())
        sums = Sums.of(data.train, rounded) if letter.value("sums") else None
        return Letter(
            "joined",
            {
                "node": data.node,
                "versions": versions(),
                "encoder": data.encoder,
                "shape": list(data.train.shape[1:]),
                "targets": make_targets(data.profile.adapter, letter.value("classes"), data.sources).fingerprint,
                "classes": list(told),
                "clips": told,
                "held_out": len(data.test_classes),
                "shares": list(data.profile.flower.share),
                **({} if sums is None else {"tokens": sums.count}),
            },
            {} if sums is None else {"sums.total": sums.total, "sums.squares": sums.squares},
            data.generators if letter.value("generators") else (),
        )

    def _train(self, letter: Letter) -> Letter:
        assert self._setup is not None
        assert self._engine is not None
        setup, number = self._setup, int(letter.value("round"))
        (own,) = (node for node in setup.nodes if node.id == self._data.node)
        starts = {space.name: self._parameters(letter, f"start.{space.name}", space) for space in setup.spaces}
        started = time.monotonic()
        answers = self._engine.train(number, [own], {name: _always(start) for name, start in starts.items()})
        arrays, losses, steps = {}, {}, {}
        for space in setup.spaces:
            (trained,) = answers.of(space)
            arrays[f"trained.{space.name}"] = trained.parameters[0].detach().cpu().clone()
            losses[space.name] = float(trained.losses[0])
            steps[space.name] = trained.steps
        seconds = time.monotonic() - started
        return Letter("trained", {"losses": losses, "steps": steps, "seconds": seconds}, arrays)

    def _evaluate(self, letter: Letter) -> Letter:
        assert self._setup is not None
        assert self._engine is not None
        setup = self._setup
        owners = sum(name.startswith("adapter.") for name in letter.arrays) // len(setup.spaces)
        adapters = [
            {space.name: self._parameters(letter, f"adapter.{owner}.{space.name}", space) for space in setup.spaces}
            for owner in range(owners)
        ]
        measured = self._engine.evaluate(adapters)
        right, clips = measured.node_hits[self._data.node]
        return Letter(
            "evaluated",
            {
                "right": right,
                "clips": clips,
                "errors": dict(measured.squared_error),
                "cosines": {name: list(sums) for name, sums in measured.cosines.items()},
            },
            {"confusion": measured.confusion},
        )

    def _parameters(self, letter: Letter, name: str, space: Space) -> Tensor:
        assert self._setup is not None
        return letter.array(name, tuple(space.initial_parameters(0).shape))

    def _is_prepared(self, letter: Letter) -> bool:
        run = letter.value("run")
        if "setup" in letter.values:
            self._prepare(letter)
            self._run = run
        return bool(self._run == run)

    def _prepare(self, letter: Letter) -> None:
        """Become a part of a federation: put together what its rounds have to know."""
        data, given = self._data, letter.value("setup")
        own = data.profile
        profile = own.model_copy(
            update={
                "experiment": own.experiment.model_copy(update={"seed": given["seed"]}),
                "adapter": AdapterSection.model_validate(given["adapter"] | {"targets": own.adapter.targets}),
                "federation": FederationSection.model_validate(given["federation"]),
                "synthetic": SyntheticSection.model_validate(given["synthetic"]),
                "nodes": Profile.model_validate(
                    {"nodes": [{"id": node["id"], "classes": node["classes"]} for node in given["nodes"]]}
                ).nodes,
            }
        )
        classes = profile.classes
        dim = data.train.shape[-1]
        targets = make_targets(profile.adapter, classes, data.sources)
        standardisation = Standardisation(
            letter.array("standardise.mean", (dim,)), letter.array("standardise.scale", (dim,))
        )
        members = tuple(
            Node(
                id=node["id"],
                clips=torch.arange(len(data.train) if node["id"] == data.node else 0),
                clips_of_class={},
                learning_rates=node["rates"],
                samples_per_class=node["samples"],
            )
            for node in given["nodes"]
        )
        device = data.device
        spaces = tuple(
            Space.of(name, values.to(device), dim, profile.adapter.hidden) for name, values in targets.spaces.items()
        )

        def labels(names: Sequence[str]) -> Tensor:
            return torch.tensor([classes.index(name) for name in names], dtype=torch.long, device=device)

        with TemporaryDirectory(prefix="feda2v-") as place:
            generators: tuple[NodeGenerator, ...] = ()
            if letter.checkpoints:
                keep_checkpoints(Path(place), letter.checkpoints)
                generators = tuple(
                    NodeGenerator(metadata.node_id, metadata.generator_key, generator)
                    for metadata, generator in load_generators(Path(place))
                )
        self._setup = Setup(
            profile=profile,
            spaces=spaces,
            nodes=members,
            clips=Pool(inputs_of(data.train, standardisation, device), labels(data.train_classes), len(data.train)),
            held_out=HeldOut(
                inputs_of(data.test, standardisation, device),
                labels(data.test_classes),
                ((data.node,),) * len(data.test_classes),
                tuple(member.id for member in members),
            ),
            standardisation=standardisation,
            generators=generators,
            budget=memory_budget(own.experiment.memory, device),
            device=device,
        )
        sampled = SampledPool(self._setup.clips, self._setup.sampling)
        self._engine = LocalEngine(self._setup, sampled, local_training(self._setup), _narrowed)


def versions() -> dict[str, str]:
    """What has to be the same on all machines for the results to be the same."""
    return {"feda2v": __version__, "torch": version("torch"), "machine": platform.machine()}


def keep_checkpoints(directory: Path, files: Sequence[bytes], node: int | None = None) -> list[Path]:
    """Write generators that have arrived to files, each under the name that its content says.

    Args:
        directory: where they go.
        files: whole checkpoints.
        node: who has sent them; None for anyone.

    Raises:
        LetterError: one is damaged, unsafe, no generator, or another node's.
    """
    paths = []
    for content in files:
        arrived = directory / "arrived.part"
        arrived.write_bytes(content)
        try:
            metadata = load_content(arrived, GeneratorMetadata)[0].metadata
        except Defect as defect:
            arrived.unlink()
            raise LetterError(f"a checkpoint that is not sound: {defect}") from defect
        if node not in (None, metadata.node_id):
            raise LetterError(f"a generator of node {metadata.node_id}")
        path = directory / metadata.filename
        if path in paths or path.parent != directory:
            raise LetterError(f"two generators {path.name}")
        arrived.rename(path)
        paths.append(path)
    return paths


def _always(start: Tensor) -> Any:
    return lambda nodes: start  # noqa: ARG005 - there is one


def _narrowed(models: int, width: int) -> None:
    raise AssertionError(f"one adapter cannot become fewer: {models}, {width}")
