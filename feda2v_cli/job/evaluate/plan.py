"""What is going to be evaluated: which set of checkpoints, and against which clips."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from feda2v_cli.checkpoint.metadata import GeneratorMetadata
from feda2v_cli.data.clip import Clip
from feda2v_cli.data.nodes import NodeClips, check_held_out, clips_of_nodes
from feda2v_cli.data.split import FOLDS_ALONE, data_of, with_keys
from feda2v_cli.embedding.encoder import Encoder, make_encoder, node_encoders
from feda2v_cli.embedding.identity import differences, in_words, source_of
from feda2v_cli.errors import MissingError, UsageError
from feda2v_cli.job.choose_generators import naming_command, sets_under, several_sets
from feda2v_cli.job.machine import choose_device
from feda2v_cli.job.nodes import cache_directory
from feda2v_cli.paths import is_file
from feda2v_cli.profile.load import LoadedProfile
from feda2v_cli.profile.problem import shown
from feda2v_cli.profile.schema import EmbeddingSection, NodeSection, Profile, Tokens
from feda2v_cli.verifier.expectation import Expectation
from feda2v_cli.verifier.finding import Finding, FindingsError
from feda2v_cli.verifier.loading import load_set
from feda2v_cli.verifier.remedy import Remedies
from feda2v_cli.verifier.verify import DEFAULT_ROOT

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    Loaded = tuple[GeneratorMetadata, dict[str, Tensor]]

#: What an encoder's identity and a profile's section on embeddings both say.
_OF_AN_ENCODER = ("tokens", "sample_rate", "seconds")


@dataclass(frozen=True)
class EvaluationPlan:
    """An evaluation before it runs.

    Attributes:
        directory: of the set.
        profile: says the clips, and how to embed them.
        device: where embeddings are made.
        encoders: what makes the embeddings of each node, by its id, and of all, by None.
        nodes: and their clips.
        loaded: metadata and tensors of each generator, node by node.
    """

    directory: Path
    profile: Profile
    device: "torch.device"
    encoders: Mapping[int | None, Encoder]
    nodes: tuple[NodeClips, ...]
    loaded: "tuple[Loaded, ...]"


def plan_evaluation(
    directory: Path | None,
    loaded: LoadedProfile,
    *,
    command: str = "evaluate",
    base_name: str | None = None,
    profile_named: str | None = None,
    on_warning: Callable[[Finding], None],
    root: Path = DEFAULT_ROOT,
) -> EvaluationPlan:
    """Find and load a set of generators, and list the clips that it is held against.

    Args:
        directory: where the set lies; None for the one set under `root`.
        loaded: the profile.
        command: that is run, for hints.
        base_name: which set of a directory that holds several.
        profile_named: what the user called the profile; None when nodes, folds and encoder are to be those that the
            checkpoints name.
        on_warning: is told what the verifier warns of.
        root: where to look.

    Raises:
        MissingError: there is no set, or data or weights are not there.
        UsageError: several sets would do.
        FindingsError: the set is not sound, or not what the profile asks for.
    """
    if directory is None:
        expectation = Expectation() if profile_named is None else Expectation.from_profile(loaded, profile_named)
        directory, base_name = _choose_set(command, base_name, expectation, root)
    if is_file(directory):
        raise UsageError(
            f"{directory} is a file — a set of checkpoints is a directory",
            hint=shlex.join(["feda2v", command, str(directory.parent)]),
        )
    expectation = Expectation(base_name=base_name)
    if profile_named is not None:
        wanted = Expectation.from_profile(loaded, profile_named)
        expectation = replace(wanted, base_name=base_name, granularity=None, generator_type=None)
    generators = load_set(directory, replace(expectation, directory=directory), on_warning=on_warning)
    profile = loaded.profile if profile_named is not None else _as_trained(loaded, generators, directory, command)
    _check_data_set(profile, generators, directory, command)
    cache_directory(profile)
    device = choose_device(profile.experiment.device)
    try:
        encoders = node_encoders(make_encoder(profile.embedding, device), profile)
    except MissingError as error:
        if profile_named is not None:
            raise
        hint = error.hint or _name_the_encoder(directory, command)
        raise MissingError(error.title, [*error.details, f"{directory} was trained on its embeddings"], hint) from error
    for metadata in {one.node_id: one for one, _ in reversed(generators)}.values():
        _check_encoder(encoders[metadata.node_id], metadata, directory, expectation, command)
    nodes = clips_of_nodes(profile)
    check_held_out(nodes, "samples are held against them")
    return EvaluationPlan(directory, profile, device, encoders, nodes, tuple(generators))


def testing_with(clips: Sequence[Clip], nodes: Sequence[NodeClips]) -> tuple[NodeClips, ...]:
    """The nodes with other clips held out: of each, those of the classes that it trains on.

    Raises:
        UsageError: a clip trained, or is of no class that a node trains on.
    """
    own = [{clip.class_name for clip in node.train} for node in nodes]
    trained = {clip for node in nodes for clip in node.train}
    wrong = [clip for clip in clips if clip in trained or not any(clip.class_name in classes for classes in own)]
    if wrong or not clips:
        raise UsageError(
            f"{wrong[0].name} trained the generators, or is of none of their classes"
            if wrong
            else "no clip to test with",
            ["expected clips of the nodes' classes that no node trains on"],
        )
    return tuple(
        replace(node, held_out=tuple(clip for clip in clips if clip.class_name in classes))
        for node, classes in zip(nodes, own, strict=True)
    )


def _choose_set(command: str, base_name: str | None, expectation: Expectation, root: Path) -> tuple[Path, str]:
    sets = [found for found in sets_under(root) if base_name in (None, found.base_name)]
    if not sets:
        called = "" if base_name is None else f" called {base_name}"
        granularity = expectation.granularity or "unified"
        hint = Remedies(expectation).train_new(granularity, expectation.directory, base_name or expectation.base_name)
        raise MissingError(f"no generators{called} under {root}/", hint=hint)
    if len(sets) > 1:
        commands = [naming_command(found, [command]) for found in sets]
        raise several_sets(root, commands, hint=commands[0])
    return sets[0].directory, sets[0].base_name


def _check_encoder(
    encoder: Encoder, metadata: GeneratorMetadata, directory: Path, expectation: Expectation, command: str
) -> None:
    """FA007: the encoder that is loaded is not the one whose embeddings trained the generators."""
    differing = differences(metadata.encoder, encoder.identity)
    if not differing:
        return
    there, here = in_words(metadata.encoder, differing), in_words(encoder.identity, differing)
    remedies = Remedies(expectation)
    if expectation.profile is not None:
        # No generator of the set is of use with this encoder: all are trained again.
        hint = f"{remedies.train_new(metadata.run_granularity, directory, metadata.base_name)} --force"
    else:
        hint = _name_the_encoder(directory, command) if "weights" in differing else remedies.explain("FA007")
    message = f"was trained on embeddings of encoder {there}; embedding.encoder = {encoder.source} is {here}"
    raise FindingsError([Finding("FA007", str(directory), message, hint=hint)])


def _name_the_encoder(directory: Path, command: str) -> str:
    return shlex.join(["feda2v", command, str(directory), "--set", "embedding.encoder=DIR"])


def _source(loaded: LoadedProfile, trained_with: Mapping[str, Any], directory: Path, command: str) -> str:
    """How the encoder is named that trained: by the user, or else by the checkpoints."""
    if loaded.is_set_outside("embedding.encoder"):
        return loaded.profile.embedding.encoder
    if "weights" in trained_with and "source" not in trained_with:
        raise MissingError(
            f"{directory} was trained on embeddings of {trained_with.get('name')}, and does not say where that lies",
            hint=_name_the_encoder(directory, command),
        )
    return source_of(trained_with)


def _as_trained(loaded: LoadedProfile, generators: "Sequence[Loaded]", directory: Path, command: str) -> Profile:
    """The profile with the nodes, folds and encoder that the checkpoints name."""
    profile, metadata = loaded.profile, generators[0][0]
    of_folds = next((one for one, _ in generators if one.train_folds), metadata)
    folds = {"train_folds": of_folds.train_folds, "test_folds": of_folds.test_folds}
    known = {key: metadata.encoder[key] for key in _OF_AN_ENCODER if key in metadata.encoder}
    try:
        nodes = {
            one.node_id: with_keys(
                NodeSection(id=one.node_id, classes=one.node_classes, tokens=_own_tokens(one, metadata)),
                one.split or FOLDS_ALONE,
            )
            for one, _ in generators
        }
        return profile.model_copy(
            update={
                "data": data_of(profile.data, metadata.split or FOLDS_ALONE, folds),
                "embedding": EmbeddingSection.model_validate(
                    profile.embedding.model_dump()
                    | known
                    | {"encoder": _source(loaded, metadata.encoder, directory, command)}
                ),
                "generator": profile.generator.model_copy(update={"groups": metadata.generator_class_groups}),
                "nodes": tuple(nodes.values()),
            }
        )
    except ValidationError as error:
        problem = error.errors()[0]
        message = f"says of its training what no profile can say: {problem['loc'][0]} {shown(problem['input'])}"
        raise FindingsError([Finding("FA009", str(directory), message)]) from error


def _own_tokens(metadata: GeneratorMetadata, first: GeneratorMetadata) -> Tokens | None:
    """The tokens of a generator's node, where they are not those of the first."""
    tokens: Tokens | None = metadata.encoder.get("tokens")
    return None if tokens == first.encoder.get("tokens") else tokens


def _check_data_set(profile: Profile, generators: "Sequence[Loaded]", directory: Path, command: str) -> None:
    """Say what is missing in the words of the option that gives it."""
    trained_on = {metadata.dataset_name for metadata, _ in generators}
    roots = [profile.data.root, *(node.root for node in profile.nodes)]
    if "builtin" not in trained_on and not any(roots):
        option = ["--data-root", "DIR"] if len(trained_on) == 1 else ["--profile", "PROFILE"]
        raise MissingError(
            f"{directory} was trained on recordings ({', '.join(sorted(trained_on))}), and data.root is not set",
            ["samples are held against the clips of the same data set"],
            # One root is not the place of several data sets: a profile says where each node's lies.
            hint=shlex.join(["feda2v", command, str(directory), *option]),
        )
