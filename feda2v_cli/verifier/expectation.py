"""What checkpoints are expected to be: from a profile, from options, or nothing at all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from feda2v_cli.checkpoint.name import Granularity
from feda2v_cli.data.split import keys_of_node
from feda2v_cli.embedding.identity import known_identity

if TYPE_CHECKING:
    from feda2v_cli.profile.load import LoadedProfile
    from feda2v_cli.profile.schema import NodeSection, Profile


#: Keys that commands name by options of their own, and one that changes nothing of what is trained.
_SAID_OTHERWISE = {"checkpoint.dir", "data.root", "embedding.cache"}


@dataclass(frozen=True)
class ExpectedNode:
    """A node that must have generators.

    Attributes:
        id: of the node.
        classes: classes that its generators must make; None for those that its own metadata name.
        granularity: of its generators; None for any.
        dataset: data set of its clips; None for any.
        split: which clips it holds and what divides them, as `data.split.keys_of_node` says; None for any.
        groups: all classes of each group, where its generators are per group; None for any.
        group: the one group that all of its classes form; None when the groups decide.
        tokens: of its embeddings; None for those of the expected encoder.
    """

    id: int
    classes: tuple[str, ...] | None = None
    granularity: Granularity | None = None
    dataset: str | None = None
    split: Mapping[str, Any] | None = None
    groups: Mapping[str, tuple[str, ...]] | None = None
    group: str | None = None
    tokens: int | str | None = None


@dataclass(frozen=True)
class Expectation:
    """What a set of checkpoints is expected to be; what is None or empty may be anything.

    >>> Expectation(granularity="per_class", nodes=(ExpectedNode(0, classes=("dog",)),)).asks_for("per_class")
    'the options ask for per_class'

    Attributes:
        profile: the profile as its user named it; None without one.
        directory: where the set lies.
        base_name: first part of its files' names.
        granularity: of the run.
        nodes: nodes that must have generators.
        classes: classes that some generator must make.
        encoder: the encoder's identity, as far as it is known.
        settings: `key=value` of what options and variables set over the profile; they become a part of commands.
        adapter_base_name: first part of the names of adapters.
        generator_type: vae or gaussian.
        train_folds: folds that trained.
        test_folds: folds that were held out.
        max_epsilon: the largest ε that generators may promise their clips; None asks for no promise.
        delta: at which it is asked for.
        has_groups: whether the profile defines groups, so that it can train per_group generators.
        by_class: whether generators stand for the classes that they make: their nodes are not those of the profile.
        data_root: directory of the data set, when an option or the environment names it and not the profile's file.
    """

    profile: str | None = None
    directory: Path | None = None
    base_name: str | None = None
    granularity: Granularity | None = None
    nodes: tuple[ExpectedNode, ...] = ()
    classes: tuple[str, ...] = ()
    encoder: Mapping[str, Any] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    adapter_base_name: str | None = None
    generator_type: str | None = None
    train_folds: tuple[int, ...] | None = None
    test_folds: tuple[int, ...] | None = None
    max_epsilon: float | None = None
    delta: float = 1e-5
    has_groups: bool = False
    by_class: bool = False
    data_root: Path | None = None

    def asks_for(self, what: object) -> str:
        """Who asks for something, for messages."""
        return f"the options ask for {what}" if self.profile is None else f"profile {self.profile} asks for {what}"

    @property
    def is_empty(self) -> bool:
        """Whether anything will do."""
        return self == Expectation()

    @classmethod
    def from_profile(
        cls,
        loaded: "LoadedProfile",
        named: str,
        nodes: tuple[int, ...] | None = None,
        encoder: Mapping[str, Any] | None = None,
    ) -> Self:
        """What a run of a profile would load.

        Args:
            loaded: the profile.
            named: how its user named it, for the commands that findings suggest.
            nodes: ids of the nodes that count; None for all.
            encoder: identity of the profile's encoder, when it is loaded.

        Raises:
            UsageError: there is no such encoder.
            MissingError: the encoder's model is not on this machine.
            FailedError: its files cannot be read.
        """
        profile = loaded.profile
        granularity = profile.generator.granularity
        by_class = profile.synthetic.match == "class"
        taking_part = [node for node in profile.nodes if nodes is None or node.id in nodes]
        section = profile.embedding
        if not profile.nodes_that_differ:  # all may have the same tokens of their own
            section = section.model_copy(update={"tokens": profile.tokens_of(profile.nodes[0])})
        if encoder is None:
            encoder = known_identity(section)
        if by_class and profile.nodes_that_differ:  # a generator of any of them makes a class
            encoder = {name: value for name, value in encoder.items() if name != "tokens"}
        knows_type = granularity != "auto" or "generator.type" in loaded.origins
        return cls(
            profile=named,
            directory=profile.generator_dir,
            base_name=profile.base_name,
            granularity=None if granularity == "auto" else granularity,
            nodes=() if by_class else tuple(_expected(node, profile) for node in taking_part),
            classes=tuple(sorted({name for node in taking_part for name in node.classes})) if by_class else (),
            encoder=encoder,
            settings=_settings(loaded),
            adapter_base_name=profile.checkpoint.adapter_base_name,
            generator_type=profile.generator.type if knows_type else None,
            train_folds=profile.data.train_folds,
            test_folds=profile.data.test_folds,
            max_epsilon=profile.synthetic.max_epsilon,
            delta=profile.generator.delta,
            has_groups=bool(profile.generator.groups),
            by_class=by_class,
            data_root=profile.data.root if loaded.is_set_outside("data.root") else None,
        )


def _expected(node: "NodeSection", profile: "Profile") -> ExpectedNode:
    from feda2v_cli.data.nodes import expected_data  # loads NumPy

    granularity = profile.granularity_of(node)
    dataset, split = expected_data(profile.data, node)
    return ExpectedNode(
        id=node.id,
        classes=node.generated_classes,
        granularity=None if granularity == "auto" else granularity,
        dataset=dataset,
        split=None if split is None else keys_of_node(profile.data, node, split),
        groups=profile.generator.groups or None,
        group=node.group,
        tokens=node.tokens,
    )


def _settings(loaded: "LoadedProfile") -> tuple[str, ...]:
    """The options and variables over the file: without them a command would mean another run."""
    from feda2v_cli.profile.override import as_setting

    values = loaded.profile.model_dump(mode="json", exclude_unset=True)
    return tuple(
        as_setting(key, _value_of(values, key))
        for key in loaded.origins
        if loaded.is_set_outside(key) and key not in _SAID_OTHERWISE
    )


def _value_of(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values[int(part) if isinstance(values, list) else part]
    return values
