"""What makes a value of the profile of a value of the earlier system; the rows of the mapping table name these."""

from typing import Any

from feda2v_cli.legacy.config.draft import Draft, Purpose
from feda2v_cli.legacy.config.legacy_key import Entry
from feda2v_cli.profile.key_path import KeyPath, dotted
from feda2v_cli.profile.problem import shown
from feda2v_cli.profile.schema import as_base_name

_AST = "MIT/ast-finetuned-audioset-10-10-0.4593"
_OF_RUN_2 = ("adapter.", "federation.", "synthetic.")
_STRATEGIES = {"none": "none", "avg": "fedavg", "weighted_avg": "fedavg", "fedavg": "fedavg", "kd": "kd"}


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
    _note_legacy_meaning(draft, entry)


def fill(draft: Draft, entry: Entry) -> None:
    """Carry the value over into those of its keys that nothing has set."""
    free = [target for target in map(entry.target, entry.key.becomes) if target not in draft.values]
    for target in free:
        draft.set(target, entry.value, entry.path)
    if free:
        _note_legacy_meaning(draft, entry)
    else:
        draft.drop(entry.path, f"{' and '.join(entry.key.becomes)} are set by other keys")


def drop(draft: Draft, entry: Entry) -> None:
    """Leave the key out."""
    draft.drop(entry.path, entry.key.why)


def decide(draft: Draft, entry: Entry) -> None:
    """Leave the key to where it is read together with others."""


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
        draft.warn(entry.path, f"choose the GPU with the environment: CUDA_VISIBLE_DEVICES={index}")
    carry_value(draft, entry, "auto" if kind == "cuda" else entry.value)


def seed(draft: Draft, entry: Entry) -> None:
    """-1 was no seed: every run of ours has one."""
    if entry.value in (-1, "-1"):
        draft.drop(entry.path, "-1 was no seed at all; a run always has one, 0 unless another is written")
    else:
        carry(draft, entry)


def algorithm(draft: Draft, entry: Entry) -> None:
    """Only one algorithm of the earlier system's framework is this product."""
    if str(entry.value).lower() != "feda2v":
        draft.warn(entry.path, "another algorithm than FedA2V; converted as FedA2V")
    drop(draft, entry)


def node_count(draft: Draft, entry: Entry) -> None:
    """The nodes themselves say how many there are."""
    nodes = sum(1 for node in draft.section("nodes").values() if isinstance(node, dict))
    if str(entry.value) != str(nodes):
        draft.warn(entry.path, f"there are {nodes} entries under nodes, which is what counts, as before")
    drop(draft, entry)


def rounds(draft: Draft, entry: Entry) -> None:
    """Rounds of whatever the configuration runs."""
    if draft.purpose is not Purpose.FEDERATE:
        draft.set(("generator", "rounds"), entry.value, entry.path)
    if draft.purpose is not Purpose.TRAIN:
        draft.set(("federation", "rounds"), entry.value, entry.path)


def batch_size(draft: Draft, entry: Entry) -> None:
    """Batches of whatever the configuration trains."""
    if draft.purpose is not Purpose.FEDERATE:
        draft.set(("generator", "batch_size"), entry.value, entry.path)
        if entry.value not in (1, "1"):
            draft.warn(entry.path, "the generators of the earlier system took one clip at a time")
    if draft.purpose is not Purpose.TRAIN:
        draft.set(("adapter", "batch_size"), entry.value, entry.path)


def strategy(draft: Draft, entry: Entry) -> None:
    """How updates become the global adapters."""
    text = str(entry.value).lower()
    if text == "avg" and draft.purpose is not Purpose.TRAIN:
        draft.warn(entry.path, "every node had the same weight; fedavg weighs nodes by their clips")
    if text == "kd" and entry.path[-1] != "adapter_aggregation_mode":
        draft.problem(entry.path, "kd counted in feda2v.adapter_aggregation_mode alone: write it there")
    target: KeyPath = ("federation", "strategy")
    if target in draft.values:
        _drop_for_another(draft, entry, target)
        return
    draft.set(target, _STRATEGIES.get(text, entry.value), entry.path)
    if text == "kd":
        draft.set(("synthetic", "use"), ["kd"], entry.path)
    _note_legacy_meaning(draft, entry)


def aggregation(draft: Draft, entry: Entry) -> None:
    """Aggregation of the parent framework, which acted on the adapters where the mode of the adapters did not."""
    if ("federation", "strategy") in draft.values and str(entry.value).lower() == "none":
        draft.drop(entry.path, "the adapters are aggregated as feda2v.adapter_aggregation_mode says")
        return
    if str(entry.value).lower() == "per_class_average":
        draft.warn(entry.path, "the last version of the earlier system averaged nothing with it")
    strategy(draft, entry)


def evaluation(draft: Draft, entry: Entry) -> None:
    """Rounds between evaluations."""
    carry_value(draft, entry, entry.value)
    if draft.purpose is not Purpose.TRAIN and draft.flag("feda2v", "train_adapters") is not True:
        draft.warn(entry.path, "without train_adapters the earlier system left evaluation out")


def encoder(draft: Draft, entry: Entry) -> None:
    """The audio encoder; AST had a short name."""
    is_ast = str(entry.value).lower() in {"ast", _AST.lower()}
    if not is_ast:
        draft.warn(entry.path, f"the earlier system always took {_AST}")
    carry_value(draft, entry, _AST if is_ast else entry.value)


def diffusion(draft: Draft, entry: Entry) -> None:
    """Flux needs both target spaces, sd has no t5."""
    text = str(entry.value).lower()
    known = (draft.get("federation", "diffusion_type"), draft.get("feda2v", "diffusion_type"), entry.value)
    counts = next(str(kind).lower() for kind in known if kind is not None)
    if text not in {"flux", "sd"}:
        draft.doubt(entry.path, "neither flux nor sd: no run of the earlier system took it")
        drop(draft, entry)
    elif text != counts:
        draft.warn(entry.path, f"it is {counts} for the federation, and one kind serves all nodes")
        drop(draft, entry)
    elif text == "sd" and ("adapter", "spaces") not in draft.values:
        draft.set(("adapter", "spaces"), ["clip"], entry.path)
    else:
        drop(draft, entry)


def cls_token(draft: Draft, entry: Entry) -> None:
    """The CLS token alone: the nearest is one token, pooled."""
    if entry.value is not True and str(entry.value).lower() != "true":
        draft.drop(entry.path, "false is what a profile does")
        return
    if ("embedding", "tokens") not in draft.values:
        draft.warn(entry.path, "this was the CLS token; embedding.tokens = 1 is the mean over time")
    carry_value(draft, entry, 1)


def augmentation(draft: Draft, entry: Entry) -> None:
    """Switch and strength of the noise are one key."""
    target = ("generator", "noise")
    strength = draft.get("feda2v", "generator_augmentation_noise")
    keys = [("feda2v", key) for key in ("generator_augmentation", "generator_augmentation_noise")]
    sources = [path for path in keys if draft.value(path) is not None]
    switch = draft.flag("feda2v", "generator_augmentation")
    if switch is False:
        draft.set(target, 0.0, *sources)
    elif strength is not None:
        draft.set(target, strength, *reversed(sources))
        if switch is None:
            draft.warn(entry.path, "without generator_augmentation the earlier system added no noise")
    else:
        draft.drop(entry.path, "true says no strength, and a profile adds no noise; generator.noise = 0.1 would")


def generator_type(draft: Draft, entry: Entry) -> None:
    """The kinds of generators that there are."""
    text = str(entry.value).lower()
    if text in {"gan", "diffusion"}:
        draft.doubt(entry.path, f"{text} generators are not there yet: the profile trains a vae")
        draft.drop(entry.path, f"{text} generators are not there yet; generator.type is vae or gaussian")
    else:
        carry_value(draft, entry, text)


def synthetic_count(draft: Draft, entry: Entry) -> None:
    """Synthetic samples a class."""
    value = entry.value.lower() if isinstance(entry.value, str) else entry.value
    carry_value(draft, entry, value)


def kd_samples(draft: Draft, entry: Entry) -> None:
    """How many samples distillation takes is how many are drawn."""
    if ("federation", "strategy") in draft.values and draft.values["federation", "strategy"] == "kd":
        carry(draft, entry)
    else:
        draft.drop(entry.path, "it counts with adapter_aggregation_mode kd alone")


def server_epochs(draft: Draft, entry: Entry) -> None:
    """Epochs on the server: of distillation, or of fine-tuning."""
    distils = draft.values.get(("federation", "strategy")) == "kd"
    if distils != (entry.key.name == "kd_training_epochs"):
        draft.drop(entry.path, f"it counts {'without' if distils else 'with'} adapter_aggregation_mode kd alone")
    else:
        carry(draft, entry)


def server_training(draft: Draft, entry: Entry) -> None:
    """Fine-tuning on the server, on synthetic samples."""
    on = draft.flag("feda2v", "global_model_train")
    sources = ("global_model_train_from_nodes_adapters", "global_model_train_from_generator")
    if entry.value is True and on and entry.key.name in sources:
        if ("synthetic", "use") in draft.values:
            _drop_for_another(draft, entry, ("synthetic", "use"))
            return
        draft.set(("synthetic", "use"), ["local", "server"], entry.path)
        draft.warn(entry.path, "the server of the earlier system trained nothing in its last version; here it does")
    else:
        drop(draft, entry)


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
    _note_legacy_meaning(draft, entry)


def adapter_frequency(draft: Draft, entry: Entry) -> None:
    """Rounds between saves of the adapters: RUN 2's own, where it has no other."""
    if draft.purpose is Purpose.FEDERATE:
        carry(draft, entry)
    else:
        draft.drop(
            entry.path, "checkpoint.every comes from generator_checkpoint_frequency where generators are trained"
        )


def _drop_for_another(draft: Draft, entry: Entry, target: KeyPath) -> None:
    sources = draft.sources.get(target, [])
    by = f", from {dotted(sources[0])}" if sources else ""
    kept = draft.values.get(target)
    draft.drop(entry.path, f"{dotted(target)} is {shown(kept)} already{by}")
    if kept != entry.value:
        draft.warn(entry.path, f"gives way to {dotted(sources[0]) if sources else dotted(target)} = {shown(kept)}")


def _note_legacy_meaning(draft: Draft, entry: Entry) -> None:
    other_run = draft.purpose is Purpose.TRAIN and all(name.startswith(_OF_RUN_2) for name in entry.key.becomes)
    if entry.key.instead and entry.value != entry.key.unless and not other_run:
        draft.warn(entry.path, f"in the earlier system {entry.key.instead}")
