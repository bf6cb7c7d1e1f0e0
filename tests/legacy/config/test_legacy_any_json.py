"""Whatever a file holds, it becomes a profile or is answered with the place."""

import json
import re
from typing import Any

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from feda2v_cli.errors import ProfileError
from feda2v_cli.legacy.config.convert import convert
from feda2v_cli.legacy.config.modes import IMAGE_FREQUENCIES
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
RATE = st.floats(1e-6, 1)
SWITCH = st.booleans()
NAME = st.text(min_size=1, max_size=12)
PATH = st.sampled_from(["checkpoints/generators", "checkpoints/generators_per_class", "else where", "/abs/x"])
CLASS = st.sampled_from(LABELS["esc50"][:6])
CLASSES = st.lists(CLASS | st.integers(0, 49), min_size=1, max_size=5, unique_by=str)
KIND = st.sampled_from(["flux", "sd"])
SPLITS = st.lists(st.sampled_from(["train", "val", "test"]), min_size=1, unique=True)

VALID: dict[str, st.SearchStrategy[Any]] = {
    "experiment.name": NAME,
    "experiment.goal": NAME,
    "experiment.description": st.text(),
    "experiment.device": st.sampled_from(["cpu", "cuda", "cuda:1", "mps"]),
    "experiment.seed": st.integers(-1, 2**31),
    "federation.algorithm": st.sampled_from(["FedA2V", "feda2v"]),
    "federation.num_clients": COUNT,
    "federation.global_rounds": COUNT,
    "federation.local_epochs": COUNT,
    "federation.eval_gap": COUNT,
    "federation.model_aggregation": st.sampled_from(["none", "per_class_average", "fedavg"]),
    "federation.diffusion_type": KIND,
    "training.batch_size": COUNT,
    "dataset.name": st.just("ESC50"),
    "feda2v.diffusion_type": KIND,
    "feda2v.adapter_checkpoint_dir": PATH,
    "feda2v.adapter_checkpoint_base_name": st.sampled_from(["adapter", "my adapter"]),
    "feda2v.generator_type": st.sampled_from(["vae", "gan", "diffusion"]),
    "feda2v.generator_checkpoint_path": st.sampled_from(["a/b.pt", "b.pt", "a/"]),
    "feda2v.generator_checkpoint_dir": PATH,
    "feda2v.generator_checkpoint_base_name": st.sampled_from(["vae_unified", "vae_group", "generator"]),
    "feda2v.generator_checkpoint_frequency": COUNT,
    "feda2v.generator_training_epochs": COUNT,
    "feda2v.generator_augmentation": SWITCH,
    "feda2v.generator_augmentation_noise": RATE,
    "feda2v.generator_training_sequence_length": COUNT | st.just(1214),
    "feda2v.synthetic_samples_per_class": COUNT | st.just("auto"),
    "feda2v.kd_samples_per_class": COUNT,
    "feda2v.kd_training_epochs": COUNT,
    "feda2v.global_model_train": SWITCH,
    "feda2v.global_model_train_epochs": COUNT,
    "feda2v.global_model_train_from_nodes_adapters": SWITCH,
    "feda2v.global_model_train_from_generator": SWITCH,
    "feda2v.audio_model_name": st.sampled_from(["AST", "other/model"]),
    "feda2v.use_cls_token_only": SWITCH,
    "feda2v.train_adapters": SWITCH,
    "feda2v.adapter_save_checkpoint": SWITCH,
    "feda2v.adapter_load_checkpoint": SWITCH,
    "feda2v.clip_adapter_learning_rate_schedule": SWITCH,
    "feda2v.t5_adapter_learning_rate_schedule": SWITCH,
    "feda2v.generate_nodes_images_frequency": st.integers(0, 9),
    "feda2v.generate_global_images_frequency": st.integers(0, 9),
    "feda2v.generate_low_memomy_footprint": SWITCH,
    "feda2v.save_generated_images_splits": SPLITS,
    "feda2v.nodes_test_metrics_splits": SPLITS,
    "feda2v.img_pipe_name": st.just("some/pipeline"),
    "feda2v.project": NAME,
    "feda2v.entity": NAME,
    "feda2v.wandb_mode": st.sampled_from(["offline", "online", "disabled"]),
    "wandb.disabled": SWITCH,
    **dict.fromkeys(
        [
            "feda2v.clip_adapter_learning_rate",
            "feda2v.t5_adapter_learning_rate",
            "feda2v.clip_adapter_weight_decay",
            "feda2v.t5_adapter_weight_decay",
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
RATIOS = st.fixed_dictionaries({}, optional={"train_ratio": st.floats(0.1, 0.7), "val_ratio": st.floats(0, 0.2)})
#: A VEGAS node's number of clips, or block, which the place of the node completes.
PARTS = st.sampled_from(
    [{}, {"num_samples_per_class": 30}, {"num_samples_per_class": 0, "samples_per_node": 20, "node_split_seed": 3}]
)
OTHER_NODE = st.sampled_from(["VEGAS", "VGGSound"]).flatmap(
    lambda data_set: st.fixed_dictionaries(
        {
            "dataset": st.just(data_set),
            "selected_classes": st.lists(st.sampled_from(LABELS["vegas"]), min_size=1, unique=True),
        },
        optional={"use_cls_token_only": SWITCH},
    )
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
        "clip_adapter_weight_decay": RATE,
        "use_cls_token_only": SWITCH,
        "num_samples": ANYTHING,
        "samples_per_node": ANYTHING,
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
    # Nodes that share a class of one data set have to split it alike, and to divide it in blocks of one size.
    ratios, part = draw(RATIOS), draw(PARTS)
    config["nodes"] = {}
    for index in range(draw(st.integers(1, 3))):
        node = draw(NODE | OTHER_NODE)
        if node.get("dataset") in ("VEGAS", "VGGSound"):
            node |= ratios | (part if node["dataset"] == "VEGAS" else {})
            node |= {"node_split_id": index} if "samples_per_node" in part and node["dataset"] == "VEGAS" else {}
        config["nodes"][str(index)] = node
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


def keys_of(config: dict[str, Any]) -> set[str]:
    """Every key of a configuration that is neither a comment nor within a value, dotted."""
    found: set[str] = set()
    for section, keys in config.items():
        for name, value in keys.items():
            inner = [f"{section}.{name}.{key}" for key in value] if section == "nodes" else [f"{section}.{name}"]
            found |= {key for key in inner if not key.rpartition(".")[2].startswith("_")}
    return found


STRANGE = st.dictionaries(
    st.text("abcz_", min_size=2, max_size=6).filter(lambda name: name[0] != "_"), ANYTHING, max_size=2
)


@settings(max_examples=60, deadline=None)
@given(valid_configurations(), STRANGE)
def test_every_key_of_a_file_is_accounted_for_once(config: dict[str, Any], strange: dict[str, Any]) -> None:
    config["feda2v"] |= {name: value for name, value in strange.items() if name not in config["feda2v"]}

    told = report(convert(read_text(json.dumps(config), "old.json")), "new.toml")

    keys = [row["key"] for kind in ("renamed", "dropped", "unknown") for row in told[kind]]
    assert sorted(keys) == sorted(keys_of(config))


#: Switches, and the keys that count for nothing where they are off.
OFF: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"use_generator": True, "generator_only_mode": True, "generator_training_mode": True},
        [key.dotted for key in TABLE if "run_2" in key.stages and key.section != "nodes"],
    ),
    ({"use_generator": False}, [key.dotted for key in TABLE if "generators" in key.stages and key.section != "nodes"]),
    (
        {"use_generator": True, "use_pretrained_generators": True, "generator_load_checkpoint": True},
        [key.dotted for key in TABLE if "generator_training" in key.stages],
    ),
    (
        {"adapter_load_checkpoint": True},
        [key.dotted for key in TABLE if "adapter_training" in key.stages and key.section != "nodes"],
    ),
    (
        {"generate_nodes_images_frequency": 0, "generate_global_images_frequency": 0},
        [key.dotted for key in TABLE if "images" in key.stages and key.name not in IMAGE_FREQUENCIES],
    ),
    ({"adapter_aggregation_mode": "avg"}, [key.dotted for key in TABLE if "kd" in key.stages]),
    (
        {"global_model_train": False},
        [key.dotted for key in TABLE if "server_training" in key.stages and "from" not in key.name],
    ),
    ({"wandb_mode": "disabled"}, ["feda2v.project", "feda2v.entity"]),
    ({"train_adapters": False}, ["federation.eval_gap"]),
]


@pytest.mark.parametrize(("switches", "keys"), OFF, ids=[" ".join(switches) for switches, _ in OFF])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_what_is_switched_off_may_say_whatever_it_likes(
    switches: dict[str, Any], keys: list[str], data: st.DataObject
) -> None:
    nodes = {"0": {"dataset": "ESC50", "selected_classes": ["dog"]}}
    plain: dict[str, Any] = {"federation": {}, "training": {}, "feda2v": switches, "nodes": nodes}
    whatever: dict[str, Any] = {name: dict(section) for name, section in plain.items()}
    for key in data.draw(st.lists(st.sampled_from(keys), min_size=1, unique=True)):
        section, name = key.split(".")
        if name not in switches:
            whatever[section][name] = data.draw(ANYTHING | st.just(0))

    assert profile_of(whatever) == profile_of(plain)


@pytest.mark.parametrize(
    ("switches", "stage"),
    [
        ({"use_generator": True, "generator_only_mode": True}, "run_2"),
        ({"use_generator": False}, "generators"),
        ({"adapter_load_checkpoint": True}, "adapter_training"),
    ],
)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_nodes_too_may_say_whatever_they_like_of_what_is_switched_off(
    switches: dict[str, Any], stage: str, data: st.DataObject
) -> None:
    names = [key.name for key in TABLE if key.section == "nodes" and stage in key.stages]
    node = {"dataset": "ESC50", "selected_classes": ["dog"]}
    whatever = data.draw(st.dictionaries(st.sampled_from(names), ANYTHING | st.just(0), min_size=1))

    assert profile_of({"feda2v": switches, "nodes": {"0": node | whatever}}) == profile_of(
        {"feda2v": switches, "nodes": {"0": node}}
    )


def profile_of(config: dict[str, Any]) -> Profile:
    return convert(read_text(json.dumps(config), "old.json")).profile


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_blocks_of_two_nodes_never_share_a_clip(data: st.DataObject) -> None:
    size, count = data.draw(st.integers(1, 300)), data.draw(st.integers(2, 8))
    ids = data.draw(st.lists(st.integers(0, 20), min_size=count, max_size=count))
    nodes = {
        str(index): {
            "dataset": "VEGAS",
            "selected_classes": data.draw(st.lists(st.sampled_from(["dog", "drum"]), min_size=1, unique=True)),
            "samples_per_node": size,
            "node_split_id": number,
        }
        for index, number in enumerate(ids)
    }
    held: list[tuple[str, int]] = []
    for index, number in enumerate(ids):
        held += [(name, number) for name in nodes[str(index)]["selected_classes"]]
    shared = len(set(held)) < len(held)

    try:
        profile = profile_of({"nodes": nodes})
    except ProfileError:
        assert shared
        return
    assert not shared
    for node, number in zip(profile.nodes, ids, strict=True):
        assert node.block is not None
        assert node.block.bounds("dog") == (number * size, (number + 1) * size)


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
