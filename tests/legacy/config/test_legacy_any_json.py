"""Whatever a file holds, it becomes a profile or is answered with the place."""

import json
import re
from typing import Any

import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from feda2v_cli.errors import ProfileError
from feda2v_cli.legacy.config.convert import convert
from feda2v_cli.legacy.config.nodes import LABELS
from feda2v_cli.legacy.config.read import read_text
from feda2v_cli.legacy.config.report import report
from feda2v_cli.legacy.config.table import SECTIONS, TABLE
from feda2v_cli.legacy.config.write import profile_text
from feda2v_cli.profile.contradictions import contradictions
from feda2v_cli.profile.schema import Profile

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["true", "7", "per_class"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
COUNT = st.integers(1, 1000) | st.integers(1, 1000).map(str)
SHARE = st.floats(0.01, 1)
RATE = st.floats(1e-6, 1)
SWITCH = st.booleans()
NAME = st.text(min_size=1, max_size=12)
PATH = st.sampled_from(["checkpoints/generators", "checkpoints/generators_per_class", "else where", "/abs/x"])
CLASS = st.sampled_from(LABELS["esc50"][:6])
CLASSES = st.lists(CLASS | st.integers(0, 49), min_size=1, max_size=5, unique_by=str)
KIND = st.sampled_from(["flux", "sd"])

VALID: dict[str, st.SearchStrategy[Any]] = {
    "experiment.name": NAME,
    "experiment.goal": NAME,
    "experiment.description": st.text(),
    "experiment.device": st.sampled_from(["cpu", "cuda", "cuda:1", "mps"]),
    "experiment.seed": st.integers(-1, 2**31),
    "federation.algorithm": st.sampled_from(["FedA2V", "FedAvg"]),
    "federation.num_clients": COUNT,
    "federation.global_rounds": COUNT,
    "federation.local_epochs": COUNT,
    "federation.join_ratio": SHARE,
    "federation.eval_gap": COUNT,
    "federation.model_aggregation": st.sampled_from(["none", "per_class_average", "fedavg"]),
    "federation.diffusion_type": KIND,
    "training.batch_size": COUNT,
    "training.weight_decay": RATE,
    "dataset.name": st.just("ESC50"),
    "dataset.path": PATH,
    "feda2v.diffusion_type": KIND,
    "feda2v.adapter_aggregation_method": st.sampled_from(["none", "avg"]),
    "feda2v.adapter_checkpoint_dir": PATH,
    "feda2v.adapter_checkpoint_base_name": st.sampled_from(["adapter", "my adapter"]),
    "feda2v.adapter_checkpoint_frequency": COUNT,
    "feda2v.generator_type": st.sampled_from(["vae", "gan", "diffusion"]),
    "feda2v.generator_checkpoint_path": st.sampled_from(["a/b.pt", "b.pt", "a/"]),
    "feda2v.generator_checkpoint_dir": PATH,
    "feda2v.generator_checkpoint_base_name": st.sampled_from(["vae_unified", "vae_group", "generator"]),
    "feda2v.pretrained_generator_path": st.sampled_from(["a/b.pt", "b.pt"]),
    "feda2v.generator_checkpoint_frequency": COUNT,
    "feda2v.generator_training_epochs": COUNT,
    "feda2v.generator_augmentation": SWITCH,
    "feda2v.generator_augmentation_noise": RATE,
    "feda2v.generator_training_sequence_length": COUNT,
    "feda2v.beta_warmup_ratio": SHARE,
    "feda2v.synthetic_samples_per_class": COUNT | st.just("auto"),
    "feda2v.kd_samples_per_class": COUNT,
    "feda2v.kd_training_epochs": COUNT,
    "feda2v.global_model_train": SWITCH,
    "feda2v.global_model_train_epochs": COUNT,
    "feda2v.global_model_train_from_nodes_adapters": SWITCH,
    "feda2v.global_model_train_from_generator": SWITCH,
    "feda2v.audio_model_name": st.sampled_from(["AST", "other/model"]),
    "feda2v.use_cls_token_only": SWITCH,
    **dict.fromkeys(
        [
            "feda2v.clip_adapter_learning_rate",
            "feda2v.t5_adapter_learning_rate",
            "feda2v.adapters_learning_rate",
            "feda2v.clip_adapter_weight_decay",
            "feda2v.t5_adapter_weight_decay",
            "feda2v.adapters_weight_decay",
        ],
        RATE,
    ),
}
#: Keys of which some values contradict each other: they are drawn together.
TOGETHER = (
    "use_generator",
    "generator_training_mode",
    "generator_only_mode",
    "use_pretrained_generators",
    "generator_load_checkpoint",
    "adapter_aggregation_mode",
    "generator_granularity",
    "generator_class_groups",
)
MODES = st.sampled_from(
    [
        {},
        {"use_generator": False},
        {"use_generator": True, "generator_training_mode": True, "generator_only_mode": True},
        {"use_generator": True, "generator_training_mode": True},
        {"use_generator": True, "use_pretrained_generators": True, "generator_load_checkpoint": True},
    ]
)
VEGAS_NODE = st.fixed_dictionaries(
    {"dataset": st.just("VEGAS"), "selected_classes": st.lists(st.sampled_from(LABELS["vegas"]), min_size=1)}
)
GROUPS = st.fixed_dictionaries({"wild ones": st.just(["dog", "Cow"]), "b": st.just(["rain"])})
NODE = st.fixed_dictionaries(
    {"selected_classes": CLASSES},
    optional={
        "dataset": st.sampled_from(["ESC50", "esc-50"]),
        "generator_granularity": st.sampled_from(["unified", "per_class"]),
        "generator_train_classes": st.lists(CLASS, max_size=3),
        "generator_class_group": NAME.filter(lambda name: bool(re.search("[a-z0-9]", name))),
        "clip_adapter_learning_rate": RATE,
        "t5_adapter_learning_rate": RATE,
        "train_folds": st.just([0, 1, 2]),
        "test_folds": st.sampled_from([[3], [4], [3, 4]]),
        "diffusion_type": KIND,
        "_comment": ANYTHING,
        "adapter_dropout": ANYTHING,
        "train_ratio": ANYTHING,
        "num_samples": ANYTHING,
    },
)


@st.composite
def valid_configurations(draw: st.DrawFn) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for key in draw(st.lists(st.sampled_from(TABLE), unique_by=lambda key: key.dotted, max_size=40)):
        if key.section != "nodes" and key.name not in TOGETHER:
            config.setdefault(key.section, {})[key.name] = draw(VALID.get(key.dotted, ANYTHING))
    feda2v = config.setdefault("feda2v", {})
    modes = draw(MODES)
    feda2v |= modes
    if draw(SWITCH):
        feda2v["adapter_aggregation_mode"] = draw(
            st.sampled_from(["avg", "none"] + ["kd"] * modes.get("use_generator", 0))
        )
    if draw(SWITCH):
        feda2v["generator_class_groups"] = draw(GROUPS)
    if draw(SWITCH):
        grouped = ["per_group"] * ("generator_class_groups" in feda2v)
        feda2v["generator_granularity"] = draw(st.sampled_from(["unified", "per_class", *grouped]))
    config["nodes"] = {str(index): draw(NODE | VEGAS_NODE) for index in range(draw(st.integers(1, 3)))}
    return config


def convert_text(text: str) -> str:
    conversion = convert(read_text(text, "old.json"))
    json.dumps(report(conversion, "new.toml"))
    return profile_text(conversion, "new.toml")


@settings(max_examples=60, deadline=None)
@given(valid_configurations())
def test_known_keys_with_valid_values_become_a_profile_and_always_the_same(config: dict[str, Any]) -> None:
    text = json.dumps(config)

    toml = convert_text(text)

    profile = Profile.model_validate(tomli.loads(toml))
    assert contradictions(profile) == []
    assert profile == convert(read_text(text, "old.json")).profile
    assert convert_text(text) == toml


def test_the_valid_values_cover_every_key_that_is_carried() -> None:
    carried = {key.dotted for key in TABLE if key.becomes and key.section != "nodes" and key.name not in TOGETHER}

    assert carried <= set(VALID)


KEYS = st.sampled_from([key.name for key in TABLE] + ["_comment", "0", "1"]) | st.text(max_size=4)
BROKEN_NODES = st.dictionaries(
    st.sampled_from(["0", "1", "_c", "x"]), ANYTHING | NODE | st.dictionaries(KEYS, ANYTHING)
)
BROKEN = st.dictionaries(
    st.sampled_from(SECTIONS) | st.text(max_size=4), ANYTHING | st.dictionaries(KEYS, ANYTHING, max_size=6), max_size=6
).flatmap(lambda config: BROKEN_NODES.map(lambda nodes: {"nodes": nodes} | config))


def answer(text: str) -> str | ProfileError:
    try:
        return convert_text(text)
    except ProfileError as error:
        return error


@settings(max_examples=100, deadline=None)
@given(BROKEN | valid_configurations().flatmap(lambda valid: BROKEN.map(lambda broken: broken | valid)))
def test_any_object_becomes_a_profile_or_is_answered_with_the_place(config: dict[str, Any]) -> None:
    result = answer(json.dumps(config))

    if isinstance(result, str):
        Profile.model_validate(tomli.loads(result))
    else:
        assert result.details
        assert all(re.match(r"old\.json:\d+:\d+ ", line) for line in result.details)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet='{}[]:,"\\/*# \n\tabtruefalsn01.-é', max_size=40) | ANYTHING.map(json.dumps))
def test_any_text_becomes_a_profile_or_is_answered_with_the_place(text: str) -> None:
    result = answer(text)

    assert isinstance(result, str) or re.match(r"old\.json(:\d+:\d+ is not | has )", result.title)
