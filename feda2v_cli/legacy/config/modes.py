"""The switches of the earlier system: what a configuration runs, and which parts of a run are off."""

from dataclasses import dataclass
from typing import Any

from feda2v_cli.legacy.config.draft import Draft, Purpose
from feda2v_cli.legacy.config.legacy_key import Stage
from feda2v_cli.profile.key_path import KeyPath

_NO_GENERATORS = "without generators (use_generator) it counts for nothing"


@dataclass(frozen=True)
class Modes:
    """What the switches say together.

    Attributes:
        purpose: which runs.
        generators: whether there are generators at all.
        loads_adapters: whether adapters are loaded, and not trained.
    """

    purpose: Purpose
    generators: bool
    loads_adapters: bool


def read_modes(draft: Draft) -> Modes:
    """Read the switches; contradictions become problems of the draft."""
    use = draft.flag("feda2v", "use_generator")
    training = draft.flag("feda2v", "generator_training_mode")
    only = draft.flag("feda2v", "generator_only_mode")
    pretrained = draft.flag("feda2v", "use_pretrained_generators")
    load = draft.flag("feda2v", "generator_load_checkpoint")
    wanting = next(
        (
            key
            for key, value in (
                ("generator_only_mode", only),
                ("generator_training_mode", training),
                ("use_pretrained_generators", pretrained),
            )
            if value
        ),
        None,
    )
    if wanting and use is False:
        draft.problem(
            _path("use_generator"),
            f'{wanting} is true and has no meaning without generators: write "use_generator": true, '
            f'or "{wanting}": false',
        )
    if only and training is False:
        draft.problem(
            _path("generator_training_mode"),
            "generator_only_mode is true and trains generators and nothing else: "
            'write "generator_training_mode": true, or "generator_only_mode": false',
        )
    purpose = _purpose(use, training=training, only=only, loads=pretrained or load)
    generators = use is not False and bool(use or wanting or load)
    loads_adapters = purpose is not Purpose.TRAIN and draft.is_on("feda2v", "adapter_load_checkpoint")
    if _distils(draft) and not generators and not loads_adapters:
        draft.problem(
            _path("adapter_aggregation_mode"),
            "kd distils on synthetic samples and has none without generators: "
            'write "use_generator": true and "use_pretrained_generators": true, or another mode (avg, none)',
        )
    _warn(draft, wanting=wanting, use=use, training=bool(training or only), pretrained=bool(pretrained), load=load)
    if purpose is Purpose.BOTH and training and draft.get("feda2v", "adapter_aggregation_mode") not in (None, "none"):
        draft.warn(
            _path("generator_training_mode"),
            "the earlier system exchanged no adapters while it trained generators; RUN 2 does, after RUN 1",
        )
    return Modes(purpose, generators, loads_adapters)


def stages_off(draft: Draft, modes: Modes) -> dict[Stage, str]:
    """The parts of a run that are switched off, each with the reason why the values of its keys count for nothing."""
    off: dict[Stage, str] = {}
    if modes.purpose is Purpose.TRAIN:
        off["run_2"] = "generator_only_mode trains generators and nothing else: it counts for nothing"
    if not modes.generators:
        off["generators"] = _NO_GENERATORS
    if modes.purpose is Purpose.FEDERATE:
        off["generator_training"] = "generators are loaded and not trained: it counts for nothing"
    if modes.loads_adapters:
        off["adapter_training"] = "adapters are loaded and not trained (adapter_load_checkpoint): it counts for nothing"
    elif str(draft.get("feda2v", "adapter_save_checkpoint")).lower() == "false":
        off["adapter_files"] = "adapters are not saved (adapter_save_checkpoint): it counts for nothing"
    if not draft.is_on("feda2v", "train_adapters"):
        off["evaluation"] = (
            "without train_adapters the earlier system left evaluation out; here it is every "
            "federation.evaluate_every rounds"
        )
    if not _distils(draft):
        off["kd"] = "it counts with adapter_aggregation_mode kd alone"
    if not trains_server(draft):
        off["server_training"] = "without global_model_train and one of its sources it counts for nothing"
    if not any(_is_on(draft.get("feda2v", key)) for key in IMAGE_FREQUENCIES):
        off["images"] = "no images are made (both frequencies are 0): it counts for nothing"
    elif draft.is_on("feda2v", "generate_embeddings_only"):
        off["images"] = "generate_embeddings_only makes no images: feda2v images makes them of saved adapters"
    disabled, mode = str(draft.get("wandb", "disabled")).lower(), str(draft.get("feda2v", "wandb_mode")).lower()
    if disabled != "false" or mode == "disabled":
        off["tracking"] = "W&B is not switched on (wandb.disabled = false): it counts for nothing"
    return off


#: Rounds between images of nodes and of the server.
IMAGE_FREQUENCIES = ("generate_nodes_images_frequency", "generate_global_images_frequency")


def trains_server(draft: Draft) -> bool:
    """Whether the server trains on samples of generators, as the file asks for."""
    sources = ("global_model_train_from_nodes_adapters", "global_model_train_from_generator")
    return draft.is_on("feda2v", "global_model_train") and any(draft.is_on("feda2v", source) for source in sources)


def _distils(draft: Draft) -> bool:
    return str(draft.get("feda2v", "adapter_aggregation_mode")).lower() == "kd"


def _is_on(frequency: Any) -> bool:
    return frequency not in (None, 0, "0", False)


def _purpose(use: bool | None, *, training: bool | None, only: bool | None, loads: bool | None) -> Purpose:
    if only:
        return Purpose.TRAIN
    if training:
        return Purpose.BOTH
    if loads or not use:
        return Purpose.FEDERATE
    return Purpose.BOTH


def _warn(
    draft: Draft, *, wanting: str | None, use: bool | None, training: bool, pretrained: bool, load: bool | None
) -> None:
    if wanting and use is None:
        draft.warn(
            _path(wanting),
            "without use_generator the earlier system built no generators; converted as you wrote",
        )
    if pretrained and not load and not training:
        draft.warn(
            _path("use_pretrained_generators"),
            "without generator_load_checkpoint the earlier system loaded nothing; RUN 2 loads them",
        )
    if training and pretrained:
        draft.warn(
            _path("use_pretrained_generators"),
            "the earlier system went on training what it loaded; RUN 1 trains new generators",
        )
    if use and not training and not pretrained and not load:
        draft.warn(
            _path("use_generator"),
            "without a mode the earlier system used untrained generators; train them first, with RUN 1",
        )


def _path(key: str) -> KeyPath:
    return ("feda2v", key)
