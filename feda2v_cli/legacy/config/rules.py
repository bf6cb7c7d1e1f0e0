"""What makes a value of the profile of a value of the earlier system; the rows of the mapping table name these."""

from typing import Any

from feda2v_cli.legacy.config.draft import Draft, Purpose, listed
from feda2v_cli.legacy.config.legacy_key import Entry
from feda2v_cli.profile.key_path import KeyPath, dotted
from feda2v_cli.profile.problem import shown
from feda2v_cli.profile.schema import as_base_name

#: Strategy and weights of the nodes, by the names that aggregation had.
_STRATEGIES = {
    "none": ("none", None),
    "avg": ("fedavg", "equal"),
    "weighted_avg": ("fedavg", "clips"),
    "weighted_average": ("fedavg", "clips"),
    "fedavg": ("fedavg", "clips"),
    "kd": ("kd", None),
    "per_class_average": ("per_class_average", None),
}
#: The earlier system knew these alone; anything else aggregated nothing.
_KNOWN_MODES = {"none", "avg", "kd"}


def apply(draft: Draft, entry: Entry) -> None:
    """Apply the rule of a key, unless the part of the run that it is about is switched off."""
    reason = next((draft.off[stage] for stage in entry.key.stages if stage in draft.off), None)
    if reason is None:
        entry.key.rule(draft, entry)
    else:
        draft.drop(entry.path, reason)


def carry(draft: Draft, entry: Entry) -> None:
    """Carry the value over as it is, unless a key that stands higher in the table has set it."""
    carry_value(draft, entry, entry.value)


def carry_value(draft: Draft, entry: Entry, value: Any) -> None:
    """Carry a value over that was made of the entry's, unless a key that stands higher in the table has set it."""
    for target in map(entry.target, entry.key.becomes):
        if target in draft.values:
            _drop_for_another(draft, entry, target)
            return
        draft.set(target, value, entry.path)


def drop(draft: Draft, entry: Entry) -> None:
    """Leave the key out."""
    draft.drop(entry.path, entry.key.why)


def decide(draft: Draft, entry: Entry) -> None:
    """Leave the key to where it is read together with others."""


def switch(draft: Draft, entry: Entry) -> None:
    """Leave a switch to where it is read together with others."""
    _truth(draft, entry)


def name(draft: Draft, entry: Entry) -> None:
    """Carry a name over, in the letters that file names may have."""
    if ("experiment", "name") in draft.values:
        draft.drop(entry.path, "experiment.name names the run")
        return
    valid = as_base_name(str(entry.value)) if isinstance(entry.value, str | int) else entry.value
    if valid is None:
        draft.drop(entry.path, "no letter or digit is in it that the name of a directory could keep")
    else:
        carry_value(draft, entry, valid)


def description(draft: Draft, entry: Entry) -> None:
    """Make a comment of free text."""
    draft.intro.append(str(entry.value))


def device(draft: Draft, entry: Entry) -> None:
    """`cuda` was the default whether there was a GPU or not: that is `auto`."""
    kind, _, index = str(entry.value).lower().partition(":")
    if kind == "cuda" and index:
        draft.note(entry.path, f"choose the GPU with the environment: CUDA_VISIBLE_DEVICES={index}")
    carry_value(draft, entry, "auto" if kind == "cuda" else entry.value)


def seed(draft: Draft, entry: Entry) -> None:
    """-1 was no seed: every run of ours has one."""
    if entry.value in (-1, "-1"):
        draft.drop(entry.path, "-1 was no seed at all; a run always has one, 0 unless another is written")
    else:
        carry(draft, entry)


def node_count(draft: Draft, entry: Entry) -> None:
    """The nodes themselves say how many there are."""
    nodes = sum(1 for node in draft.section("nodes").values() if isinstance(node, dict))
    if str(entry.value) != str(nodes):
        draft.note(entry.path, f"there are {nodes} entries under nodes, which is what counts, as before")
    drop(draft, entry)


def rounds(draft: Draft, entry: Entry) -> None:
    """Rounds of whatever the configuration runs."""
    trains = draft.purpose is not Purpose.FEDERATE
    federates = draft.purpose is not Purpose.TRAIN and "adapter_training" not in draft.off
    if trains:
        draft.set(("generator", "rounds"), entry.value, entry.path)
    if federates:
        draft.set(("federation", "rounds"), entry.value, entry.path)
    if not trains and not federates:
        draft.drop(entry.path, draft.off["adapter_training"])


def strategy(draft: Draft, entry: Entry) -> None:
    """How updates become the global adapters."""
    text = str(entry.value).lower()
    target: KeyPath = ("federation", "strategy")
    if target in draft.values:
        _drop_for_another(draft, entry, target)
        return
    known, weighting = _STRATEGIES.get(text, (entry.value, None))
    draft.set(target, known, entry.path)
    if weighting is not None:
        draft.set(("federation", "weighting"), weighting, entry.path)
    if text == "kd":
        draft.set(("synthetic", "use"), ["kd"], entry.path)
    if text in _STRATEGIES and text not in _KNOWN_MODES and entry.key.section == "feda2v":
        draft.warn(entry.path, f"the earlier system did not know it and aggregated nothing; here it is {known}")


def aggregation_method(draft: Draft, entry: Entry) -> None:
    """A key that nothing read, although it says how adapters are aggregated."""
    if draft.get("feda2v", "adapter_aggregation_mode") is None and str(entry.value).lower() != "none":
        draft.warn(entry.path, "no code read this key, and nothing was aggregated; federation.strategy would do it")
    drop(draft, entry)


def aggregation(draft: Draft, entry: Entry) -> None:
    """Aggregation of the parent framework, which acted on the adapters where the mode of the adapters did not."""
    if ("federation", "strategy") in draft.values and str(entry.value).lower() == "none":
        draft.drop(entry.path, "the adapters are aggregated as feda2v.adapter_aggregation_mode says")
        return
    if str(entry.value).lower() == "per_class_average" and ("federation", "strategy") not in draft.values:
        draft.warn(entry.path, "the last version of the earlier system averaged nothing with it; here it does")
    strategy(draft, entry)


def diffusion(draft: Draft, entry: Entry) -> None:
    """Flux needs both target spaces, sd has no t5."""
    text = str(entry.value).lower()
    counts = diffusion_kind(draft) or text
    if text not in {"flux", "sd"}:
        draft.doubt(entry.path, "neither flux nor sd: no run of the earlier system took it")
        drop(draft, entry)
    elif text != counts:
        draft.note(entry.path, f"it is {counts} for the federation, and one kind serves all nodes")
        drop(draft, entry)
    elif text == "sd" and ("adapter", "spaces") not in draft.values:
        draft.set(("adapter", "spaces"), ["clip"], entry.path)
    else:
        drop(draft, entry)


def diffusion_kind(draft: Draft) -> str | None:
    """Whose targets the federation learns: flux or sd; None when the file does not say."""
    named = (draft.get("federation", "diffusion_type"), draft.get("feda2v", "diffusion_type"))
    return next((str(kind).lower() for kind in named if kind is not None), None)


def schedule(draft: Draft, entry: Entry) -> None:
    """A schedule was on or off."""
    truth = _truth(draft, entry)
    if truth is not None:
        carry_value(draft, entry, "cosine" if truth else "constant")


def node_weight_decay(draft: Draft, entry: Entry) -> None:
    """A weight decay of a node: one serves all, so that it counts where all nodes have the same."""
    nodes = [node for node, keys in draft.section("nodes").items() if isinstance(keys, dict)]
    paths: list[KeyPath] = [("nodes", node, entry.key.name) for node in nodes]
    (target,) = map(entry.target, entry.key.becomes)
    if any(draft.value(path) != entry.value for path in paths):
        draft.warn(entry.path, f"the nodes' own differ, and {dotted(target)} is one for all: it is left out")
        draft.drop(entry.path, f"{dotted(target)} is one for all nodes, and theirs differ")
    elif entry.path == paths[0]:
        draft.set(target, entry.value, *paths)


def adapter_directory(draft: Draft, entry: Entry) -> None:
    """Where adapters go, or lie."""
    loaded, saved = map(entry.target, ("checkpoint.load_adapters", "checkpoint.adapter_dir"))
    draft.set(loaded if "adapter_training" in draft.off else saved, entry.value, entry.path)


def saved_adapters(draft: Draft, entry: Entry) -> None:
    """Whether adapters are kept."""
    truth = _truth(draft, entry)
    if truth is not None:
        carry_value(draft, entry, truth)


def augmentation(draft: Draft, entry: Entry) -> None:
    """Switch and strength of the noise are one key."""
    strength = draft.get("feda2v", "generator_augmentation_noise")
    keys = [("feda2v", key) for key in ("generator_augmentation", "generator_augmentation_noise")]
    sources = [path for path in keys if draft.value(path) is not None]
    on = draft.is_on("feda2v", "generator_augmentation")
    if entry.key.name == "generator_augmentation" and _truth(draft, entry) is None:
        return
    if on and strength is not None:
        draft.set(("generator", "noise"), strength, *reversed(sources))
    elif on:
        draft.drop(entry.path, "true says no strength, and a profile adds no noise; generator.noise = 0.1 would")
    else:
        draft.drop(entry.path, "without generator_augmentation the earlier system added no noise, as a profile does")


def generator_type(draft: Draft, entry: Entry) -> None:
    """The kinds of generators that there are."""
    text = str(entry.value).lower()
    if text in {"gan", "diffusion"}:
        draft.doubt(entry.path, f"there are no {text} generators: the profile trains a vae")
        draft.drop(entry.path, f"there are no {text} generators; generator.type is vae or gaussian")
    else:
        carry_value(draft, entry, text)


def synthetic_count(draft: Draft, entry: Entry) -> None:
    """Synthetic samples a class."""
    value = entry.value.lower() if isinstance(entry.value, str) else entry.value
    carry_value(draft, entry, value)


def server_training(draft: Draft, entry: Entry) -> None:
    """Fine-tuning on the server, on synthetic samples."""
    truth = _truth(draft, entry)
    if not truth:
        drop(draft, entry)
        return
    target: KeyPath = ("synthetic", "use")
    if draft.values.get(target) == ["local", "server"]:
        draft.sources[target].append(entry.path)
    elif target in draft.values:
        _drop_for_another(draft, entry, target)
    else:
        draft.set(target, ["local", "server"], entry.path)


def tracking(draft: Draft, entry: Entry) -> None:
    """W&B was switched on."""
    truth = _truth(draft, entry)
    if truth is None:
        return
    if "tracking" in draft.off:
        draft.drop(entry.path, "W&B is not switched on: nothing is tracked, and a run's own directory has all of it")
    else:
        draft.set(("tracking", "trackers"), ["wandb"], entry.path)


def tracking_mode(draft: Draft, entry: Entry) -> None:
    """Where W&B keeps runs."""
    carry_value(draft, entry, entry.value.lower() if isinstance(entry.value, str) else entry.value)


def checkpoint_path(draft: Draft, entry: Entry) -> None:
    """Directory and base name in one."""
    directory, _, file = str(entry.value).replace("\\", "/").rpartition("/")
    base = file.removesuffix(".pt")
    if ("checkpoint", "dir") in draft.values or ("checkpoint", "base_name") in draft.values:
        _drop_for_another(draft, entry, ("checkpoint", "dir"))
        return
    draft.set(("checkpoint", "dir"), directory or ".", entry.path)
    if base:
        draft.set(("checkpoint", "base_name"), as_base_name(base) or base, entry.path)


def _truth(draft: Draft, entry: Entry) -> bool | None:
    text = str(entry.value).lower()
    if not isinstance(entry.value, bool | str) or text not in {"true", "false"}:
        draft.problem(entry.path, "expected true or false")
        return None
    return text == "true"


def _drop_for_another(draft: Draft, entry: Entry, target: KeyPath) -> None:
    sources = draft.sources.get(target, [])
    by = f", from {dotted(sources[0])}" if sources else ""
    kept = draft.values.get(target)
    draft.drop(entry.path, f"{dotted(target)} is {shown(kept)} already{by}")
    if kept != entry.value:
        draft.note(entry.path, f"gives way to {listed(map(dotted, sources[:1])) or dotted(target)} = {shown(kept)}")
