"""How the classes of each node map to generators."""

from dataclasses import dataclass

from feda2v_cli.profile.generator_names import Granularity
from feda2v_cli.profile.schema import NodeSection, Profile


@dataclass(frozen=True)
class GeneratorSpec:
    """A generator that is to be trained.

    Attributes:
        node: id of the node whose clips train it.
        granularity: of the node's generators.
        key: nothing for unified, a class, or a group.
        classes: that it can make, in the order that conditions it.
    """

    node: int
    granularity: Granularity
    key: str | None
    classes: tuple[str, ...]

    def __str__(self) -> str:
        return f"node {self.node}" + (f" {self.key}" if self.key else "")


def generator_specs(profile: Profile) -> tuple[GeneratorSpec, ...]:
    """The generators of a profile, node by node.

    Raises:
        ValueError: the granularity is `auto`, which only checkpoints can tell.
    """
    return tuple(spec for node in profile.nodes for spec in _specs_of_node(node, profile))


def _specs_of_node(node: NodeSection, profile: Profile) -> list[GeneratorSpec]:
    granularity = profile.granularity_of(node)
    classes = node.generated_classes
    match granularity:
        case "unified":
            return [GeneratorSpec(node.id, granularity, None, classes)]
        case "per_class":
            return [GeneratorSpec(node.id, granularity, name, (name,)) for name in classes]
        case "per_group":
            groups = {node.group: classes} if node.group else profile.generator.groups
            held = {group: tuple(name for name in classes if name in names) for group, names in groups.items()}
            return [GeneratorSpec(node.id, granularity, group, names) for group, names in held.items() if names]
    raise ValueError("granularity auto is known from checkpoints alone")
