"""What no single key is wrong about: values that contradict each other."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise

from feda2v_cli.errors import closest
from feda2v_cli.profile.key_path import KeyPath
from feda2v_cli.profile.problem import NO_VALUE, Problem
from feda2v_cli.profile.schema import NodeSection, PartName, Profile

#: Ratios are decimal numbers, which add up to 1 only nearly.
_ROUNDING = 1e-9
#: A node that says nothing of its own.
_NOBODY = NodeSection(id=0, classes=("any",))


def contradictions(profile: Profile) -> list[Problem]:
    """Every contradiction between the values of a profile.

    Args:
        profile: a profile whose single values are valid.

    Returns:
        One problem a contradiction, each with the key to change.
    """
    data = (*_data(profile), *_blocks(profile), *_shared_classes(profile))
    return [*data, *_groups(profile), *_privacy(profile), *_loading(profile), *_images(profile), *_nodes(profile)]


def _data(profile: Profile) -> Iterator[Problem]:
    data = profile.data
    for key, others in (("test_folds", ("train_folds",)), ("val_folds", ("train_folds", "test_folds"))):
        folds = getattr(data, key)
        for other in others:
            both = sorted(set(folds) & set(getattr(data, other)))
            if both:
                yield Problem(("data", key), list(folds), f"fold {both[0]} is in data.{other} too")
    yield from _dataset_and_root(("data",), data.dataset, data.root is not None)
    for index, node in enumerate(profile.nodes):
        if node.dataset is not None or node.root is not None:
            yield from _dataset_and_root(("nodes", index), node.dataset or "auto", node.root is not None)
    yield from _ratios(profile)


def _dataset_and_root(place: KeyPath, dataset: str, has_root: bool) -> Iterator[Problem]:
    if dataset not in ("auto", "builtin") and not has_root:
        yield Problem((*place, "dataset"), dataset, f"{dataset} needs a root: the directory of the data set")
    if dataset == "builtin" and has_root:
        yield Problem((*place, "dataset"), dataset, "the built-in sounds have no root: remove one of the two")


def _ratios(profile: Profile) -> Iterator[Problem]:
    """Ratios that add up to more than 1: those of the profile, or those that a node makes of them."""
    whole = profile.data.ratios(_NOBODY)
    if sum(whole.values()) > 1 + _ROUNDING:
        yield Problem(("data", "train_ratio"), whole["train"], f"with those of val and test it is {_sum(whole)}")
        return
    for index, node in enumerate(profile.nodes):
        own = profile.data.ratios(node)
        keys = [key for key in ("train_ratio", "val_ratio", "test_ratio") if getattr(node, key) is not None]
        if keys and sum(own.values()) > 1 + _ROUNDING:
            told = f"with the other ratios of this node, and those of data, it is {_sum(own)}"
            yield Problem(("nodes", index, keys[0]), getattr(node, keys[0]), told)


def _sum(ratios: Mapping[PartName, float]) -> str:
    return f"{' + '.join(f'{ratio:g}' for ratio in ratios.values())} = {sum(ratios.values()):g}, expected 1 at most"


def _blocks(profile: Profile) -> Iterator[Problem]:
    """Blocks that make no sense, or that share a clip with another node's."""
    for index, node in enumerate(profile.nodes):
        block, place = node.block, ("nodes", index, "block")
        if block is None:
            continue
        if block.id is not None and block.start is not None:
            yield Problem((*place, "start"), block.start, "id says where the block begins: remove one of the two")
        if node.clips_per_class is not None:
            place_of_limit = ("nodes", index, "clips_per_class")
            yield Problem(place_of_limit, node.clips_per_class, "block.size says how many: remove one of the two")
        for key in ("size", "start"):
            by_class = getattr(block, key)
            if isinstance(by_class, dict):
                lacking = sorted(set(node.classes) - set(by_class)) if key == "size" else []
                strange = sorted(set(by_class) - set(node.classes))
                if lacking:
                    yield Problem((*place, key), by_class, f"lacks {lacking[0]}, a class of this node")
                if strange:
                    yield Problem((*place, key, strange[0]), by_class[strange[0]], "is no class of this node")


def _shared_classes(profile: Profile) -> Iterator[Problem]:
    """Nodes that share a class of a data set and divide it otherwise, or hold blocks of it that overlap."""
    holders: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for index, node in enumerate(profile.nodes):
        own = node.dataset is not None or node.root is not None
        root = node.root if own else profile.data.root
        for name in node.classes:
            holders["" if root is None else os.path.abspath(os.path.expanduser(root)), name].append(index)
    told: set[int] = set()
    for (_, name), indices in holders.items():
        first = profile.nodes[indices[0]]
        for index in indices[1:]:
            node = profile.nodes[index]
            differing = _divided_otherwise(profile, first, node)
            if differing is not None and index not in told:
                told.add(index)
                value = getattr(node, differing)
                yield Problem(
                    ("nodes", index, differing),
                    NO_VALUE if value is None else value,
                    f"node {first.id} shares the class {name} and divides it otherwise: what trains on one node "
                    "would be held out on the other",
                )
        yield from _overlapping(profile, indices, name, told)


def _divided_otherwise(profile: Profile, one: NodeSection, other: NodeSection) -> str | None:
    """The key in which two nodes divide their clips otherwise; None when they do not."""
    if (one.split or profile.data.split) != (other.split or profile.data.split):
        return "split"
    if profile.data.ratios(one) == profile.data.ratios(other):
        return None
    keys = ("train_ratio", "val_ratio", "test_ratio")
    return next(key for key in keys if getattr(one, key) != getattr(other, key))


def _overlapping(profile: Profile, indices: list[int], name: str, told: set[int]) -> Iterator[Problem]:
    blocks = []
    for index in indices:
        block = profile.nodes[index].block
        if block is not None and (isinstance(block.size, int) or name in block.size):
            blocks.append((block.bounds(name), index, block))
    blocks.sort(key=lambda held: held[:2])
    for (before, left, one), (after, index, other) in pairwise(blocks):
        holder = profile.nodes[left].id
        if index in told:
            continue
        if one.seed != other.seed:
            told.add(index)
            yield Problem(
                ("nodes", index, "block", "seed"),
                other.seed,
                f"node {holder} shares the class {name} and has seed {one.seed}: blocks of different orders overlap",
            )
        elif after[0] < before[1]:
            told.add(index)
            yield Problem(
                ("nodes", index, "block"),
                NO_VALUE,
                f"clips {after[0] + 1} to {after[1]} of {name} overlap with {before[0] + 1} to {before[1]} of node "
                f"{holder}: give them different ids, and the same size",
            )


def _privacy(profile: Profile) -> Iterator[Problem]:
    generator = profile.generator
    if generator.projection == "public" and generator.type != "gaussian":
        why = "on a public basis a class is its mean alone, which needs gaussian: a vae learns the shape of the clips"
        yield Problem(("generator", "type"), generator.type, why)
    if generator.projection != "public":
        for key in ("epsilon", "privacy_budget", "public_root"):
            value = getattr(generator, key)
            if value is not None:
                yield Problem(("generator", key), str(value), "generator.projection is not public, which it is for")
    elif generator.privacy_budget is not None and generator.epsilon is None:
        yield Problem(("generator", "privacy_budget"), generator.privacy_budget, "generator.epsilon is not set")


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
