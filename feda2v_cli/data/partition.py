"""Nodes for those who have none yet: a data set dealt out so that every clip is held once.

By Dirichlet: Hsu, Qi & Brown, "Measuring the Effects of Non-Identical Data Distribution for Federated Visual
Classification" (2019): of each class the nodes hold shares p ~ Dir(alpha); the smaller alpha, the more they differ.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self, get_args

import numpy as np

from feda2v_cli.data.split import Parts
from feda2v_cli.errors import MissingError, UsageError, closest
from feda2v_cli.profile.schema import BlockSection, NodeSection

Way = Literal["iid", "class", "dirichlet"]
#: Of a part of a class, as many fewer than its share may train, for parts are cut where clips are, and not between.
_ROUNDING = 1


@dataclass(frozen=True)
class Dealing:
    """How clips are dealt to nodes.

    Attributes:
        way: iid: every node holds an equal part of each class; class: every node holds other classes, and parts of one
            only where there are more nodes than classes; dirichlet: shares of each class are drawn.
        alpha: concentration of Dirichlet's distribution; of no meaning otherwise.
    """

    way: Way
    alpha: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """What `iid`, `class` or `dirichlet:0.3` says.

        Raises:
            UsageError: it says nothing of the kind.
        """
        word, colon, number = text.partition(":")
        ways: Sequence[Way] = get_args(Way)
        way = next((way for way in ways if way == word), None)
        if way is None:
            near = closest(word, ways)
            raise UsageError(
                f"--by {text} — expected iid, class or dirichlet:ALPHA",
                [f"did you mean {near}?"] if near else [],
                hint="--by dirichlet:0.3",
            )
        if way != "dirichlet":
            if colon:
                raise UsageError(f"--by {text} — {way} takes no number", hint=f"--by {way}")
            return cls(way)
        try:
            alpha = float(number)
        except ValueError:
            alpha = math.nan
        if not 0 < alpha < math.inf:
            raise UsageError(f"--by {text} — expected a number above 0 after dirichlet:", hint="--by dirichlet:0.3")
        return cls(way, alpha)

    def __str__(self) -> str:
        return f"{self.way}:{self.alpha:g}" if self.way == "dirichlet" else self.way


def deal(classes: Mapping[str, Parts], nodes: int, dealing: Dealing, seed: int, fewest: int) -> tuple[NodeSection, ...]:
    """Deal all clips to nodes: no clip is held twice, and none by nobody.

    Args:
        classes: the clips of each, divided.
        nodes: how many.
        dealing: how.
        seed: of what is drawn, and of the order of the clips in which blocks lie.
        fewest: clips that train, in what a node holds of a class, unless it holds all there are.

    Raises:
        MissingError: there are too few clips for so many nodes, or a class has none that train.
    """
    names = sorted(classes)
    counts = np.array([sum(map(len, classes[name].values())) for name in names])
    untrained = [name for name in names if not classes[name]["train"]]
    if untrained:
        raise MissingError(f"no clip of {', '.join(untrained)} trains", hint="--set data.split=ratio")
    train = np.array([len(classes[name]["train"]) for name in names])
    least = np.minimum(counts, np.ceil((fewest + _ROUNDING) * counts / train)).astype(int)
    most = int((counts // least).sum())
    if nodes > most:
        raise MissingError(
            f"there are clips for {most} nodes at most, and {nodes} are asked for",
            [f"a node holds at least {least.min()} clips of a class, so that {fewest} of them train"],
            hint=f"--nodes {most}",
        )
    random = np.random.default_rng(seed)
    match dealing.way:
        case "iid":
            sizes = _equally(counts, least, nodes)
        case "class":
            sizes = _by_class(counts, least, nodes, random)
        case "dirichlet":
            sizes = _drawn(counts, least, nodes, dealing.alpha, random)
    _give_everyone_something(sizes, least)
    return _sections(names, sizes, counts, seed)


_Sizes = np.ndarray[tuple[int, int], np.dtype[np.int64]]
_Counts = np.ndarray[tuple[int], np.dtype[np.int64]]


def _equally(counts: _Counts, least: _Counts, nodes: int) -> _Sizes:
    """Clips of each class for each node, [nodes, classes]; what does not divide goes round."""
    sizes = np.zeros((nodes, len(counts)), int)
    turn = 0
    for column, (count, fewest) in enumerate(zip(counts.tolist(), least.tolist(), strict=True)):
        holders = [(turn + step) % nodes for step in range(min(nodes, count // fewest))]
        _share_out(sizes, column, holders, count)
        turn += len(holders) if len(holders) < nodes else count % nodes
    return sizes


def _by_class(counts: _Counts, least: _Counts, nodes: int, random: np.random.Generator) -> _Sizes:
    sizes = np.zeros((nodes, len(counts)), int)
    order = random.permutation(len(counts))
    if nodes <= len(counts):
        for column in order:
            sizes[sizes.sum(axis=1).argmin(), column] = counts[column]
        return sizes
    room = counts // least
    holders = [[node] for node in np.argsort(order).tolist()]
    for node in range(len(counts), nodes):  # to the class of which the holders would have most
        free = [column for column in order.tolist() if len(holders[column]) < room[column]]
        holders[max(free, key=lambda column: counts[column] / (len(holders[column]) + 1))].append(node)
    for column, own in enumerate(holders):
        _share_out(sizes, column, own, int(counts[column]))
    return sizes


def _share_out(sizes: _Sizes, column: int, holders: Sequence[int], count: int) -> None:
    """Give some nodes equal parts of a class."""
    each, rest = divmod(count, len(holders))
    for place, node in enumerate(holders):
        sizes[node, column] = each + (place < rest)


def _drawn(counts: _Counts, least: _Counts, nodes: int, alpha: float, random: np.random.Generator) -> _Sizes:
    sizes = np.zeros((nodes, len(counts)), int)
    for column, (count, fewest) in enumerate(zip(counts, least, strict=True)):
        # Gammas underflow to 0 with a small alpha; then one node has all.
        shares = random.gamma(alpha, size=nodes) + np.finfo(float).tiny
        wanted = shares / shares.sum() * count
        own = np.floor(wanted).astype(int)
        own[np.argsort(own - wanted, kind="stable")[: count - own.sum()]] += 1
        largest = own.argmax()
        few = (own > 0) & (own < fewest) & (np.arange(nodes) != largest)
        own[largest] += own[few].sum()
        own[few] = 0
        sizes[:, column] = own
    return sizes


def _give_everyone_something(sizes: _Sizes, least: _Counts) -> None:
    """Let every node that holds nothing have something.

    It gets the least that is of use, of the largest holding that can spare it; or else the smallest holding of a node
    that has another class; or else a class that has clips for one more is shared anew.
    """
    for node in np.flatnonzero(sizes.sum(axis=1) == 0).tolist():
        spare = np.where(sizes >= 2 * least, sizes, 0)
        second = np.where((sizes > 0) & ((sizes > 0).sum(axis=1, keepdims=True) > 1), sizes, np.iinfo(int).max)
        if spare.any():
            holder, column = np.unravel_index(spare.argmax(), sizes.shape)
            moved = least[column]
        elif second.min() < np.iinfo(int).max:
            holder, column = np.unravel_index(second.argmin(), sizes.shape)
            moved = sizes[holder, column]
        else:
            counts, holders = sizes.sum(axis=0), (sizes > 0).sum(axis=0)
            shared = int(np.where(counts >= (holders + 1) * least, counts / (holders + 1), 0).argmax())
            _share_out(sizes, shared, [*np.flatnonzero(sizes[:, shared]).tolist(), node], int(counts[shared]))
            continue
        sizes[holder, column] -= moved
        sizes[node, column] += moved


def _sections(names: Sequence[str], sizes: _Sizes, counts: _Counts, seed: int) -> tuple[NodeSection, ...]:
    starts = np.cumsum(sizes, axis=0) - sizes
    even = len(set(sizes[sizes > 0].tolist())) == 1
    nodes = []
    for node, (own, before) in enumerate(zip(sizes.tolist(), starts.tolist(), strict=True)):
        size = {name: count for name, count in zip(names, own, strict=True) if count}
        start = {name: count for name, count in zip(names, before, strict=True) if name in size}
        block = BlockSection(size=size, start=start, seed=seed)
        if even and len(set(start.values())) == 1:
            one = max(size.values())
            block = BlockSection(size=one, id=max(start.values()) // one, seed=seed)
        whole = all(size[name] == count for name, count in zip(names, counts.tolist(), strict=True) if name in size)
        nodes.append(NodeSection(id=node, classes=tuple(size), block=None if whole else block))
    return tuple(nodes)
