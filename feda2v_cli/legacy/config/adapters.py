"""Adapters: what is one key for both spaces where they agree, and adapters that are loaded and not trained."""

from typing import Any

from feda2v_cli.legacy.config.draft import Draft, Purpose
from feda2v_cli.legacy.config.modes import Modes
from feda2v_cli.profile.key_path import KeyPath
from feda2v_cli.profile.schema import CheckpointSection

_LOAD: KeyPath = ("feda2v", "adapter_load_checkpoint")


def settle_loading(draft: Draft, modes: Modes) -> None:
    """Make adapters that are loaded and not trained an evaluation."""
    if modes.loads_adapters:
        draft.set(("federation", "rounds"), 0, _LOAD)
        if ("checkpoint", "load_adapters") not in draft.values:
            draft.set(("checkpoint", "load_adapters"), str(CheckpointSection().adapter_dir), _LOAD)


def settle_optimisers(draft: Draft) -> None:
    """Make one key of two for the target spaces that agree."""
    for key in ("schedule", "weight_decay"):
        _unite(draft, key)


def settle_synthetic(draft: Draft, modes: Modes) -> None:
    """Without generators there are no samples; with them, they reach whom they did not reach."""
    if modes.purpose is Purpose.TRAIN or modes.loads_adapters:
        return
    target: KeyPath = ("synthetic", "per_class")
    if not modes.generators:
        use: KeyPath = ("feda2v", "use_generator")
        draft.set(target, 0, *([use] if draft.value(use) is not None else []))
        return
    source: KeyPath = next(
        path
        for path in (("feda2v", "use_pretrained_generators"), ("feda2v", "use_generator"), ("feda2v",))
        if draft.value(path) is not None
    )
    uses = draft.values.get(("synthetic", "use"), ["local"])
    if draft.values.get(target) == 0:
        if "kd" in uses:
            draft.problem(draft.sources[target][0], "kd distils on synthetic samples, and these are none")
    elif "server" in uses:
        draft.warn(
            draft.sources["synthetic", "use"][0],
            "the server of the earlier system trained nothing in its last version, and the nodes on no synthetic "
            "sample; here both do",
        )
    elif "local" in uses:
        draft.warn(
            source,
            "no synthetic sample reached the nodes' own training in the earlier system; here they do "
            "(synthetic.use = local; --synthetic-per-class 0 leaves them out)",
        )
    granularity = draft.values.get(("generator", "granularity"))
    if modes.purpose is Purpose.FEDERATE and granularity in ("per_class", "per_group"):
        draft.set(("synthetic", "match"), "class", source)


def _unite(draft: Draft, key: str) -> None:
    """One key where both spaces have the same value; none where the file is silent and the value of all is the same."""
    general: KeyPath = ("adapter", key)
    own: dict[KeyPath, Any] = {
        target: draft.values[target]
        for target in (("adapter", f"clip_{key}"), ("adapter", f"t5_{key}"))
        if target in draft.values
    }
    if len(own) == 2 and len(set(map(str, own.values()))) == 1:
        sources = list(dict.fromkeys(source for target in own for source in draft.sources[target]))
        draft.set(general, next(iter(own.values())), *sources)
        draft.silent = [
            silent if silent.target not in own else type(silent)(silent.key, silent.earlier, general)
            for silent in draft.silent
        ]
        for target in own:
            del draft.values[target], draft.sources[target]
        return
    for target, value in own.items():
        if not draft.sources[target] and value == draft.default(general) and general not in draft.values:
            del draft.values[target], draft.sources[target]
