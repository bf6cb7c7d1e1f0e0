"""Which clips of a class train, which are for validation, which are held out; and which of them a node holds.

A split is the same for all nodes that share a data set, so that no clip trains on one node and is held out on another.
Everything here is decided by hashes of names, classes and seeds: it does not depend on where the data lie, on the order
of nodes, or on which of them take part.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from feda2v_cli.data.clip import Clip
from feda2v_cli.data.dataset import Dataset
from feda2v_cli.errors import UsageError
from feda2v_cli.profile.schema import BlockSection, DataSection, NodeSection, PartName, SplitName

#: What becomes of the clips of a class.
Parts = Mapping[PartName, Sequence[Clip]]
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

    def divide(self, dataset: Dataset) -> Mapping[str, Parts]:
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
        parts = _by_ratio(dataset, self) if self.kind == "ratio" else None
        divided: dict[str, dict[PartName, list[Clip]]] = {}
        for name, clips in dataset.by_class.items():
            own = divided[name] = {part: [] for part in PARTS}
            for clip in clips:
                part = self._part_of(clip) if parts is None else parts.get(clip)
                if part is not None:
                    own[part].append(clip)
        return divided

    def _part_of(self, clip: Clip) -> PartName | None:
        if self.kind == "official":
            return clip.part
        return next((part for part in PARTS if clip.fold in self.folds[part]), None)


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
        keys["block"] = node.block.model_dump(exclude_none=True)
    return keys


def data_of(data: DataSection, keys: Mapping[str, Any] | None, folds: Mapping[str, tuple[int, ...]]) -> DataSection:
    """What a profile says of data, with the split that `keys_of_node` says of a node.

    Args:
        data: of a profile.
        keys: of a node; None for folds alone.
        folds: `train_folds` and `test_folds`, where folds divide the clips.
    """
    own = {key: value for key, value in (keys or FOLDS_ALONE).items() if key != "block"}
    known = folds if own["split"] == "folds" else {}
    return DataSection.model_validate(data.model_dump() | own | dict(known))


def node_of(node_id: int, classes: Sequence[str], keys: Mapping[str, Any] | None) -> NodeSection:
    """A node that holds what `keys_of_node` says.

    Args:
        node_id: its id.
        classes: of its clips.
        keys: None for folds alone.
    """
    own = {key: value for key, value in (keys or FOLDS_ALONE).items() if key != "split_seed"}
    return NodeSection.model_validate({"id": node_id, "classes": tuple(classes)} | own)


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


def limited(parts: Parts, most: int | None, seed: int) -> Parts:
    """A class of which at most so many clips are left, with each part's share of them.

    Args:
        parts: of the class.
        most: clips; None for all.
        seed: of which.
    """
    return parts if most is None else _from_to(parts, 0, most, seed)


def block_of(parts: Parts, block: BlockSection, name: str) -> Parts:
    """The clips of a class in a block, with each part's share of them.

    Args:
        parts: of the class.
        block: of a node.
        name: of the class.
    """
    start, end = block.bounds(name)
    return _from_to(parts, start, end, block.seed)


def _from_to(parts: Parts, start: int, end: int, seed: int) -> Parts:
    """Clips `start` to `end` of a class, in an order that spreads every part evenly over the class.

    So any stretch of it has each part's share, rounded, and stretches that do not overlap share no clip.
    """
    places = {
        clip: ((rank + 0.5) / len(clips), PARTS.index(part))
        for part, clips in parts.items()
        for rank, clip in enumerate(_shuffled(clips, seed))
    }
    chosen = frozenset(sorted(places, key=lambda clip: places[clip])[start:end])
    return {part: [clip for clip in clips if clip in chosen] for part, clips in parts.items()}


def _by_ratio(dataset: Dataset, split: Split) -> dict[Clip, PartName]:
    """What becomes of each clip of a data set; of those that no part takes, nothing."""
    shares: dict[PartName | None, float] = {part: split.ratios[part] for part in ("train", "test", "val")}
    shares[None] = 1 - sum(split.ratios.values())
    shares = {part: share for part, share in shares.items() if share > _ROUNDING}
    sources: defaultdict[tuple[str, str], list[Clip]] = defaultdict(list)
    for clip in dataset.clips:
        # A clip without a source is one of its own.
        sources[("", clip.source) if clip.source is not None else (clip.class_name, clip.name)].append(clip)
    classes = {key: [clip.class_name for clip in clips] for key, clips in sources.items()}
    missing = {
        name: {part: share * len(clips) for part, share in shares.items()} for name, clips in dataset.by_class.items()
    }
    # Sources of several classes first, then the large ones: what comes later evens out what is missing.
    order = sorted(sources, key=lambda key: (-len(set(classes[key])), -len(sources[key]), _hash(split.seed, *key)))
    part_of: dict[tuple[str, str], PartName | None] = {}
    for key in order:
        lacking = [missing[name] for name in classes[key]]
        part = part_of[key] = max(shares, key=lambda part: sum(of_class[part] for of_class in lacking))
        for of_class in lacking:
            of_class[part] -= 1
    _fill_parts(shares, classes, part_of)
    return {clip: part for key, part in part_of.items() if part is not None for clip in sources[key]}


def _fill_parts(
    shares: Collection[PartName | None],
    classes: Mapping[tuple[str, str], Sequence[str]],
    part_of: dict[tuple[str, str], PartName | None],
) -> None:
    """Give every part of a class a source, from the part that has most, as long as that keeps one."""
    own: defaultdict[str, dict[PartName | None, list[tuple[str, str]]]] = defaultdict(
        lambda: {part: [] for part in shares}
    )
    shared: defaultdict[str, set[PartName | None]] = defaultdict(set)
    for key, part in part_of.items():  # the smallest sources last
        names = set(classes[key])
        for name in names:
            shared[name].add(part)
        if len(names) == 1:
            own[classes[key][0]][part].append(key)
    for name, by_part in own.items():
        for part in shares:
            richest = max(by_part.values(), key=len)
            if part is not None and part not in shared[name] and len(richest) > 1:
                by_part[part].append(richest.pop())
                part_of[by_part[part][0]] = part


def _shuffled(clips: Sequence[Clip], seed: int) -> list[Clip]:
    return sorted(clips, key=lambda clip: _hash(seed, clip.class_name, clip.name))


def _hash(seed: int, *names: str) -> bytes:
    text = "\0".join((str(seed), *names))
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()


def _numbers(folds: Iterable[int]) -> str:
    return ", ".join(map(str, folds))
