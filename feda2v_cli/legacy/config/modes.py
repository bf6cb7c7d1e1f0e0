"""The switches of the earlier system that say what a configuration runs."""

from dataclasses import dataclass

from feda2v_cli.legacy.config.draft import Draft, Purpose
from feda2v_cli.profile.key_path import KeyPath


@dataclass(frozen=True)
class Modes:
    """What the switches say together.

    Attributes:
        purpose: which runs.
        generators: whether there are generators at all.
    """

    purpose: Purpose
    generators: bool


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
    generators = use is not False and bool(use or wanting or load)
    if str(draft.get("feda2v", "adapter_aggregation_mode")).lower() == "kd" and not generators:
        draft.problem(
            _path("adapter_aggregation_mode"),
            "kd distils on synthetic samples and has none without generators: "
            'write "use_generator": true and "use_pretrained_generators": true, or another mode (avg, none)',
        )
    _warn(draft, wanting=wanting, use=use, training=bool(training or only), pretrained=bool(pretrained), load=load)
    return Modes(_purpose(use, training=training, only=only, loads=pretrained or load), generators)


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
