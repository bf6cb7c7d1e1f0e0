"""Which clips of a class train, which are for validation, which are held out; and which of them a node holds.

A split is the same for all nodes that share a data set, so that no clip trains on one node and is held out on another.
Everything here is decided by hashes of names, classes and seeds: it does not depend on where the data lie, on the order
of nodes, or on which of them take part.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from feda2v_cli.errors import UsageError
from feda2v_cli.profile.schema import DataSection, NodeSection, PartName, SplitName

if TYPE_CHECKING:
    from feda2v_cli.data.clip import Clip
    from feda2v_cli.data.dataset import Dataset

#: What becomes of the clips of a class.
Parts = Mapping[PartName, "Sequence[Clip]"]
PARTS: tuple[PartName, ...] = get_args(PartName)
#: What keys say of nodes whose clips folds alone divide.
FOLDS_ALONE: Mapping[str, Any] = {"split": "folds"}
#: Ratios are decimal numbers, which add up to 1 only nearly.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Split:
    """What divides clips.

    Attributes:
        kind: folds, official or ratio.
        folds: those of each part, with kind folds.
        ratios: share of each part in a class, with kind ratio; what is missing to 1 belongs to none.
        seed: of ratio, and of which clips stay where a class is limited.
    """

    kind: SplitName
    folds: Mapping[PartName, tuple[int, ...]]
    ratios: Mapping[PartName, float]
    seed: int

    @classmethod
    def of(cls, data: DataSection, node: NodeSection, usual: SplitName) -> "Split":
        """The split of a node.

        Args:
            data: what the profile says.
            node: what the node says otherwise.
            usual: that of the data set, for `auto`.
        """
        kind = node.split or data.split
        return cls(
            kind=usual if kind == "auto" else kind,
            folds={"train": data.train_folds, "val": data.val_folds, "test": data.test_folds},
            ratios=data.ratios(node),
            seed=data.split_seed,
        )

    def __str__(self) -> str:
        match self.kind:
            case "folds":
                return f"folds {_numbers(self.folds['train'])}, with {_numbers(self.folds['test'])} held out"
            case "official":
                return "the official split"
        shares = " / ".join(f"{self.ratios[part]:g}" for part in PARTS)
        return f"the ratio {shares} (train / val / test) of seed {self.seed}"

    def divide(self, dataset: "Dataset") -> Mapping[str, Parts]:
        """The clips of each class by what becomes of them, each in the order of the data set.

        By ratio, all clips of one source are in one part. What is left of a class when sources are large differs from
        the ratio; each part with a share has a source at least, where there are enough.

        Raises:
            UsageError: the data set has no folds, or no official split.
        """
        if (self.kind == "folds" and not dataset.folds) or (self.kind == "official" and not dataset.has_official_split):
            raise UsageError(
                f"data.split = {self.kind}, and {dataset.place} ({dataset.name}) has none",
                hint=f"--set data.split={dataset.usual_split}",
            )
        match self.kind:
            case "official":
                parts = (clip.part for clip in dataset.clips)
            case "folds":
                of_fold = {fold: part for part in PARTS for fold in self.folds[part]}
                parts = (of_fold.get(clip.fold) for clip in dataset.clips)
            case "ratio":
                by_source = _by_ratio(dataset, self)
                parts = (by_source[_source(clip)] for clip in dataset.clips)
        divided: dict[str, dict[PartName, list[Clip]]] = {
            name: {part: [] for part in PARTS} for name in dataset.classes
        }
        for clip, part in zip(dataset.clips, parts, strict=True):
            if part is not None:
                divided[clip.class_name][part].append(clip)
        return divided


def keys_of_node(data: DataSection, node: NodeSection, split: Split) -> dict[str, Any]:
    """What says which clips of its classes a node holds, and what becomes of them: keys of profiles, plain values.

    `split_seed` is a key of `data`, the others are keys of nodes.
    """
    keys: dict[str, Any] = {"split": split.kind}
    if split.kind == "ratio":
        keys |= {f"{part}_ratio": split.ratios[part] for part in PARTS}
    limit = node.clips_per_class or data.clips_per_class
    if split.kind == "ratio" or limit is not None:
        keys["split_seed"] = split.seed
    if limit is not None:
        keys["clips_per_class"] = limit
    if node.block is not None:
        # Where it begins, however that is said.
        block, bounds = node.block, {name: node.block.bounds(name)[0] for name in sorted(node.classes)}
        start = bounds if len(set(bounds.values())) > 1 else next(iter(bounds.values()))
        keys["block"] = {"size": block.size, "start": start, "seed": block.seed}
    return keys


def data_of(data: DataSection, keys: Mapping[str, Any], folds: Mapping[str, tuple[int, ...]]) -> DataSection:
    """What a profile says of data, for nodes that `keys_of_node` describes; the rest `with_keys` gives each of them.

    Args:
        data: of a profile.
        keys: of any of the nodes.
        folds: `train_folds` and `test_folds`; empty where nothing is divided by folds.
    """
    known = {name: numbers for name, numbers in folds.items() if numbers}
    seed = {"split_seed": keys["split_seed"]} if "split_seed" in keys else {}
    return DataSection.model_validate(data.model_dump() | {"clips_per_class": None} | known | seed)


def with_keys(node: NodeSection, keys: Mapping[str, Any]) -> NodeSection:
    """A node that holds of its classes what `keys_of_node` says; a block of its own stays when they name none."""
    own = {key: value for key, value in keys.items() if key != "split_seed"}
    return NodeSection.model_validate(node.model_dump() | own)


def described(keys: Mapping[str, Any] | None) -> str:
    """What `keys_of_node` says, in words.

    >>> described({"split": "ratio", "train_ratio": 0.8, "val_ratio": 0.0, "test_ratio": 0.2, "split_seed": 0})
    'ratio 0.8 / 0.0 / 0.2 of seed 0'
    """
    keys = keys or FOLDS_ALONE
    words = str(keys["split"])
    if words == "ratio":
        words += " " + " / ".join(str(keys[f"{part}_ratio"]) for part in PARTS)
    if "split_seed" in keys:
        words += f" of seed {keys['split_seed']}"
    if "clips_per_class" in keys:
        words += f", at most {keys['clips_per_class']} clips a class"
    if "block" in keys:
        words += f", block {', '.join(f'{name} {value}' for name, value in keys['block'].items())}"
    return words


def in_order(parts: Parts, seed: int) -> list[tuple[PartName, int]]:
    """All clips of a class, each as its part and its place there, in an order that spreads every part over the class.

    So any stretch of it has each part's share, rounded, and stretches that do not overlap share no clip.

    Args:
        parts: of the class.
        seed: of the order.
    """
    spread = []
    for number, part in enumerate(PARTS):
        clips = parts[part]
        shuffled = sorted(
            range(len(clips)), key=[_hash(seed, clip.class_name, clip.name) for clip in clips].__getitem__
        )
        spread += [((rank + 0.5) / len(clips), number, place) for rank, place in enumerate(shuffled)]
    return [(PARTS[number], place) for _, number, place in sorted(spread)]


def chosen(parts: Parts, order: Sequence[tuple[PartName, int]]) -> Parts:
    """Some clips of a class.

    Args:
        parts: of the class.
        order: which, as `in_order` gives them.
    """
    places: dict[PartName, list[int]] = {part: [] for part in PARTS}
    for part, place in order:
        places[part].append(place)
    return {part: [parts[part][place] for place in sorted(own)] for part, own in places.items()}


def _source(clip: "Clip") -> tuple[str, str]:
    """What a clip was cut from; a clip without a source is one of its own."""
    return ("", clip.source) if clip.source is not None else (clip.class_name, clip.name)


def _by_ratio(dataset: "Dataset", split: Split) -> dict[tuple[str, str], PartName | None]:
    """What becomes of each source of a data set; None for those that no part takes."""
    shares: dict[PartName | None, float] = {part: split.ratios[part] for part in ("train", "test", "val")}
    shares[None] = 1 - sum(split.ratios.values())
    shares = {part: share for part, share in shares.items() if share > _ROUNDING}
    sources: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)  # clips of each class
    for clip in dataset.clips:
        counts = sources[_source(clip)]
        counts[clip.class_name] = counts.get(clip.class_name, 0) + 1
    missing = {
        name: {part: share * len(clips) for part, share in shares.items()} for name, clips in dataset.by_class.items()
    }
    # Sources of several classes first, then the large ones: what comes later evens out what is missing.
    order = sorted(sources, key=lambda key: (-len(sources[key]), -sum(sources[key].values()), _hash(split.seed, *key)))
    part_of: dict[tuple[str, str], PartName | None] = {}
    for key in order:
        lacking = [(missing[name], count) for name, count in sources[key].items()]
        part = part_of[key] = max(shares, key=lambda part: sum(of_class[part] * count for of_class, count in lacking))
        for of_class, count in lacking:
            of_class[part] -= count
    _fill_parts(shares, sources, part_of)
    return part_of


def _fill_parts(
    shares: Collection[PartName | None],
    classes: Mapping[tuple[str, str], Collection[str]],
    part_of: dict[tuple[str, str], PartName | None],
) -> None:
    """Give every part of a class a source, from the part that has most, as long as that keeps one."""
    own: defaultdict[str, dict[PartName | None, list[tuple[str, str]]]] = defaultdict(
        lambda: {part: [] for part in shares}
    )
    shared: defaultdict[str, set[PartName | None]] = defaultdict(set)
    for key, part in part_of.items():  # the smallest sources last
        for name in classes[key]:
            shared[name].add(part)
            if len(classes[key]) == 1:
                own[name][part].append(key)
    for name, by_part in own.items():
        for part in shares:
            richest = max(by_part.values(), key=len)
            if part is not None and part not in shared[name] and len(richest) > 1:
                by_part[part].append(richest.pop())
                part_of[by_part[part][0]] = part


def _hash(seed: int, *names: str) -> bytes:
    text = "\0".join((str(seed), *names))
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()


def _numbers(folds: Iterable[int]) -> str:
    return ", ".join(map(str, folds))
