"""The folds that train and test, numbered from 0 in the earlier system and from 1 here."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from feda2v_cli.legacy.config.draft import Draft, listed
from feda2v_cli.profile.key_path import KeyPath

#: ESC-50 has five.
_ALL_FOLDS = frozenset(range(1, 6))
Folds = tuple[int, ...]
#: Place and keys of a node.
Node = tuple[KeyPath, Mapping[str, Any]]


def read_folds(draft: Draft, nodes: Sequence[Node]) -> bool:
    """Set the folds that train, validate and test; what nodes say differently is told.

    Args:
        draft: what is written into.
        nodes: of ESC-50.

    Returns:
        Whether a node names any.
    """
    found: dict[str, list[tuple[KeyPath, Folds]]] = {"train_folds": [], "val_folds": [], "test_folds": []}
    problems = len(draft.problems)
    for path, node in nodes:
        for key in found:
            if node.get(key) is None:
                continue
            if str(node.get("use_folds")).lower() == "false":
                draft.drop((*path, key), "use_folds is false")
                continue
            folds = _fold_numbers(draft, (*path, key), node[key])
            if folds:
                found[key].append(((*path, key), folds))
    if len(draft.problems) > problems or not (found["train_folds"] or found["test_folds"]):
        for path, _ in found["val_folds"]:
            draft.drop(path, "no folds train or test")
        return False
    shift = _shift_of_folds(draft, [entry for entries in found.values() for entry in entries])
    train, val, test = (_most_frequent_folds(draft, entries, shift) for entries in found.values())
    val = tuple(fold for fold in val if fold not in {*train, *test})
    for path, _ in found["val_folds"] if not val else ():
        draft.drop(path, "these folds test or train too: nothing is chosen by validation")
    _set_folds(
        draft,
        train or tuple(sorted(_ALL_FOLDS - {*test, *val})),
        test or tuple(sorted(_ALL_FOLDS - {*train, *val})),
        val,
        found,
    )
    return True


def _fold_numbers(draft: Draft, path: KeyPath, value: Any) -> Folds:
    items = value if isinstance(value, list) else [value]
    texts = [str(item).strip() for item in items if not isinstance(item, bool)]
    if path[-1] == "val_folds" and not items:
        draft.drop(path, "no folds are for validation")
        return ()
    if not texts or len(texts) < len(items) or not all(text in {"0", "1", "2", "3", "4", "5"} for text in texts):
        draft.problem(path, "expected a list of folds from 0 to 4, like [0, 1, 2, 3]")
        return ()
    return tuple(dict.fromkeys(int(text) for text in texts))


def _shift_of_folds(draft: Draft, entries: Sequence[tuple[KeyPath, Folds]]) -> int:
    """What makes a fold's number of the earlier system's: 1, or 0 in a file that counts from 1 to 5."""
    numbers = {number for _, folds in entries for number in folds}
    of_five = next((path for path, folds in entries if 5 in folds), None)
    if of_five is None:
        return 1
    if 0 in numbers:
        draft.problem(of_five, "there are folds 0 and 5 in this file: count from 0 to 4, or from 1 to 5")
    else:
        draft.warn(of_five, "there is a fold 5: the folds of this file are taken as numbered from 1 to 5")
    return 0


def _most_frequent_folds(draft: Draft, entries: Sequence[tuple[KeyPath, Folds]], shift: int) -> Folds:
    if not entries:
        return ()
    ordered = [(path, tuple(sorted(number + shift for number in folds))) for path, folds in entries]
    chosen = Counter(folds for _, folds in ordered).most_common(1)[0][0]
    for path, folds in ordered:
        if folds != chosen:
            draft.warn(path, f"other nodes differ, and one choice serves all: {listed(chosen)}, counted from 1")
    return chosen


def _set_folds(
    draft: Draft, train: Folds, test: Folds, val: Folds, found: Mapping[str, list[tuple[KeyPath, Folds]]]
) -> None:
    paths = {key: [path for path, _ in entries] for key, entries in found.items()}
    both = sorted(set(train) & set(test))
    first = (paths["test_folds"] or paths["train_folds"])[0]
    if both:
        draft.problem(first, f"fold {both[0]} (counted from 1) is in train_folds and in test_folds: write it in one")
        return
    if not train or not test:
        draft.problem(first, "takes all folds, none is left to train or to test on")
        return
    for key, folds in (("train_folds", train), ("val_folds", val), ("test_folds", test)):
        if folds:
            draft.set(("data", key), list(folds), *(paths[key] or [first]))
    draft.warn(first, "the earlier system split the clips by ratio; here the folds count, and 0 to 4 are 1 to 5")
