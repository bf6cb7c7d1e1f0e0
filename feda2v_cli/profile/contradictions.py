"""What no single key is wrong about: values that contradict each other."""

from collections import Counter
from collections.abc import Iterator

from feda2v_cli.errors import closest
from feda2v_cli.profile.key_path import KeyPath
from feda2v_cli.profile.problem import Problem
from feda2v_cli.profile.schema import Profile


def contradictions(profile: Profile) -> list[Problem]:
    """Every contradiction between the values of a profile.

    Args:
        profile: a profile whose single values are valid.

    Returns:
        One problem a contradiction, each with the key to change.
    """
    return [*_data(profile), *_groups(profile), *_loading(profile), *_images(profile), *_nodes(profile)]


def _data(profile: Profile) -> Iterator[Problem]:
    data = profile.data
    both = sorted(set(data.train_folds) & set(data.test_folds))
    if both:
        yield Problem(("data", "test_folds"), list(data.test_folds), f"fold {both[0]} is in data.train_folds too")
    yield from _dataset_and_root(("data",), data.dataset, data.root is not None)
    for index, node in enumerate(profile.nodes):
        if node.dataset is not None or node.root is not None:
            yield from _dataset_and_root(("nodes", index), node.dataset or "auto", node.root is not None)


def _dataset_and_root(place: KeyPath, dataset: str, has_root: bool) -> Iterator[Problem]:
    if dataset == "esc50" and not has_root:
        yield Problem((*place, "dataset"), dataset, "esc50 needs a root: the directory that holds meta/esc50.csv")
    if dataset == "builtin" and has_root:
        yield Problem((*place, "dataset"), dataset, "the built-in sounds have no root: remove one of the two")


def _groups(profile: Profile) -> Iterator[Problem]:
    holders = Counter(name for names in profile.generator.groups.values() for name in names)
    for group, names in profile.generator.groups.items():
        for name in names:
            if holders[name] > 1:
                yield Problem(("generator", "groups", group), name, "the class is in more than one group")


def _loading(profile: Profile) -> Iterator[Problem]:
    rounds, adapters = profile.federation.rounds, profile.checkpoint.load_adapters
    if rounds == 0 and adapters is None:
        yield Problem(
            ("federation", "rounds"),
            0,
            "nothing would be trained: expected 1 at least, or checkpoint.load_adapters (--adapters DIR), "
            "whose adapters are evaluated",
        )
    if rounds != 0 and adapters is not None:
        yield Problem(
            ("checkpoint", "load_adapters"),
            str(adapters),
            f"they are evaluated and not trained, and federation.rounds is {rounds}: expected 0 (--rounds 0)",
        )


def _images(profile: Profile) -> Iterator[Problem]:
    images = profile.images
    if profile.adapter.targets == "pipeline" and images.pipeline is None:
        yield Problem(("adapter", "targets"), "pipeline", "images.pipeline is not set: it names the pipeline")
    if images.every and images.pipeline is None and images.gallery is None:
        yield Problem(("images", "every"), images.every, "pictures need images.pipeline or images.gallery")
    if images.every and not (images.nodes or images.server):
        yield Problem(("images", "server"), images.server, "images.nodes is false too: there is nobody to make any")
    unknown = sorted(set(profile.adapter.prompts) - set(profile.classes))
    if unknown:
        near = closest(unknown[0], profile.classes)
        yield Problem(
            ("adapter", "prompts", unknown[0]),
            profile.adapter.prompts[unknown[0]],
            f"no node has the class {unknown[0]}" + (f"; did you mean {near}?" if near else ""),
        )


def _nodes(profile: Profile) -> Iterator[Problem]:
    ids = Counter(node.id for node in profile.nodes)
    grouped = {name for names in profile.generator.groups.values() for name in names}
    for index, node in enumerate(profile.nodes):
        place: KeyPath = ("nodes", index)
        if ids[node.id] > 1:
            yield Problem((*place, "id"), node.id, "another node has this id")
        strange = sorted(set(node.train_classes or ()) - set(node.classes))
        if strange:
            yield Problem((*place, "train_classes"), strange[0], f"not a class of this node: {', '.join(node.classes)}")
        granularity = profile.granularity_of(node)
        if node.group is not None and granularity != "per_group":
            yield Problem((*place, "group"), node.group, f"a group has no meaning with granularity {granularity}")
        if granularity == "per_group" and node.group is None:
            for name in node.generated_classes:
                if name not in grouped:
                    yield Problem(
                        (*place, "classes"),
                        name,
                        f"class {name} of node {node.id} is in no group: add it to one of generator.groups"
                        + (f" ({', '.join(profile.generator.groups)})" if profile.generator.groups else ""),
                    )
