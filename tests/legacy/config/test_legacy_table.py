"""Every key of the earlier system, with what has to become of it, written without the mapping table."""

from typing import Any

import pytest

from feda2v_cli.legacy.config.table import TABLE

GENERATORS = {"use_generator": True}
TRAIN = GENERATORS | {"generator_training_mode": True, "generator_only_mode": True}
FEDERATE = GENERATORS | {"use_pretrained_generators": True, "generator_load_checkpoint": True}
PER_GROUP = {"generator_granularity": "per_group", "generator_class_groups": {"all": ["dog", "rain"]}}

#: What a key of the profile is that nothing has set.
DEFAULT = object()

#: Images of nodes, and what they need.
PICTURES = {"generate_nodes_images_frequency": 5}
KD = FEDERATE | {"adapter_aggregation_mode": "kd"}
AST = "MIT/ast-finetuned-audioset-10-10-0.4593"

#: Section, key, value, other keys of the section feda2v, and what the profile then holds.
CARRIED: list[tuple[str, str, Any, dict[str, Any], dict[str, Any]]] = [
    ("experiment", "name", "My run", {}, {"experiment.name": "My_run"}),
    ("experiment", "goal", "test", {}, {"experiment.name": "test"}),
    ("experiment", "device", "cpu", {}, {"experiment.device": "cpu"}),
    ("experiment", "device", "cuda", {}, {"experiment.device": "auto"}),
    ("experiment", "seed", 7, {}, {"experiment.seed": 7}),
    ("federation", "global_rounds", 7, TRAIN, {"generator.rounds": 7, "federation.rounds": DEFAULT}),
    ("federation", "global_rounds", 7, FEDERATE, {"generator.rounds": DEFAULT, "federation.rounds": 7}),
    ("federation", "global_rounds", 7, GENERATORS, {"generator.rounds": 7, "federation.rounds": 7}),
    ("federation", "local_epochs", 2, {}, {"federation.local_epochs": 2}),
    ("federation", "eval_gap", 2, {"train_adapters": True}, {"federation.evaluate_every": 2}),
    ("federation", "model_aggregation", "per_class_average", {}, {"federation.strategy": "per_class_average"}),
    ("federation", "model_aggregation", "none", {}, {"federation.strategy": "none"}),
    (
        "federation",
        "model_aggregation",
        "fedavg",
        {},
        {"federation.strategy": "fedavg", "federation.weighting": "clips"},
    ),
    ("federation", "diffusion_type", "sd", {}, {"adapter.spaces": ["clip"]}),
    ("training", "batch_size", 8, FEDERATE, {"generator.batch_size": DEFAULT, "adapter.batch_size": 8}),
    ("feda2v", "diffusion_type", "sd", {}, {"adapter.spaces": ["clip"]}),
    (
        "feda2v",
        "adapter_aggregation_mode",
        "avg",
        {},
        {"federation.strategy": "fedavg", "federation.weighting": "equal"},
    ),
    *(
        (
            "feda2v",
            "adapter_aggregation_mode",
            mode,
            {},
            {"federation.strategy": "fedavg", "federation.weighting": "clips"},
        )
        for mode in ("weighted_avg", "weighted_average", "Weighted_Avg")
    ),
    ("feda2v", "adapter_aggregation_mode", "none", {}, {"federation.strategy": "none"}),
    ("feda2v", "adapter_aggregation_mode", "kd", FEDERATE, {"federation.strategy": "kd", "synthetic.use": ["kd"]}),
    ("feda2v", "clip_adapter_learning_rate", 0.5, {}, {"adapter.clip_learning_rate": 0.5}),
    ("feda2v", "t5_adapter_learning_rate", 0.5, {}, {"adapter.t5_learning_rate": 0.5}),
    ("feda2v", "clip_adapter_weight_decay", 0.5, {}, {"adapter.clip_weight_decay": 0.5}),
    ("feda2v", "t5_adapter_weight_decay", 0.5, {}, {"adapter.t5_weight_decay": 0.5}),
    (
        "feda2v",
        "t5_adapter_weight_decay",
        0.5,
        {"clip_adapter_weight_decay": 0.5},
        {"adapter.weight_decay": 0.5, "adapter.clip_weight_decay": None, "adapter.t5_weight_decay": None},
    ),
    (
        "feda2v",
        "clip_adapter_learning_rate_schedule",
        True,
        {},
        {"adapter.clip_schedule": "cosine", "adapter.t5_schedule": "constant"},
    ),
    (
        "feda2v",
        "t5_adapter_learning_rate_schedule",
        True,
        {"clip_adapter_learning_rate_schedule": True},
        {"adapter.schedule": "cosine", "adapter.clip_schedule": None, "adapter.t5_schedule": None},
    ),
    ("feda2v", "adapter_checkpoint_dir", "there", {}, {"checkpoint.adapter_dir": "there"}),
    (
        "feda2v",
        "adapter_checkpoint_dir",
        "there",
        {"adapter_load_checkpoint": True},
        {"checkpoint.load_adapters": "there", "checkpoint.adapter_dir": "checkpoints/adapters", "federation.rounds": 0},
    ),
    (
        "feda2v",
        "adapter_load_checkpoint",
        True,
        {},
        {"checkpoint.load_adapters": "checkpoints/adapters", "federation.rounds": 0},
    ),
    ("feda2v", "adapter_checkpoint_base_name", "map", {}, {"checkpoint.adapter_base_name": "map"}),
    ("feda2v", "adapter_save_checkpoint", False, {}, {"checkpoint.save_adapters": False}),
    ("feda2v", "adapter_save_checkpoint", True, {}, {"checkpoint.save_adapters": True}),
    ("feda2v", "generator_type", "VAE", TRAIN, {"generator.type": "vae"}),
    ("feda2v", "generator_type", "gaussian", TRAIN, {"generator.type": "gaussian"}),
    ("feda2v", "generator_granularity", "per_class", TRAIN, {"generator.granularity": "per_class"}),
    (
        "feda2v",
        "generator_granularity",
        "per_class",
        FEDERATE,
        {"generator.granularity": "per_class", "synthetic.match": "class"},
    ),
    ("feda2v", "generator_granularity", "unified", FEDERATE, {"generator.granularity": "auto"}),
    (
        "feda2v",
        "generator_class_groups",
        {"Wild Animals": ["Sea Lion"], "b": ["dog", "rain"]},
        TRAIN,
        {"generator.groups": {"wild_animals": ["sea_lion"], "b": ["dog", "rain"]}},
    ),
    (
        "feda2v",
        "generator_checkpoint_path",
        "old/vae_1.pt",
        TRAIN | {"generator_checkpoint_dir": "x"},
        {"checkpoint.dir": "old", "checkpoint.base_name": "vae_1"},
    ),
    ("feda2v", "generator_checkpoint_dir", "there", TRAIN, {"checkpoint.dir": "there"}),
    ("feda2v", "generator_checkpoint_base_name", "mine", TRAIN, {"checkpoint.base_name": "mine"}),
    ("feda2v", "generator_checkpoint_frequency", 3, TRAIN, {"checkpoint.every": 3}),
    ("feda2v", "generator_training_epochs", 3, TRAIN, {"generator.epochs": 3}),
    (
        "feda2v",
        "generator_augmentation",
        True,
        TRAIN | {"generator_augmentation_noise": 0.5},
        {"generator.noise": 0.5},
    ),
    (
        "feda2v",
        "generator_augmentation_noise",
        0.5,
        TRAIN | {"generator_augmentation": True},
        {"generator.noise": 0.5},
    ),
    ("feda2v", "generator_training_sequence_length", 8, TRAIN, {"embedding.tokens": 8, "embedding.encoder": DEFAULT}),
    (
        "feda2v",
        "generator_training_sequence_length",
        1214,
        TRAIN,
        {"embedding.tokens": "all", "embedding.encoder": AST},
    ),
    ("feda2v", "synthetic_samples_per_class", 3, FEDERATE, {"synthetic.per_class": 3}),
    ("feda2v", "synthetic_samples_per_class", "auto", FEDERATE, {"synthetic.per_class": "auto"}),
    ("feda2v", "kd_samples_per_class", 3, KD, {"synthetic.per_class": 3}),
    (
        "feda2v",
        "kd_training_epochs",
        7,
        KD | {"global_model_train_epochs": 0},
        {"federation.server_epochs": 7},
    ),
    (
        "feda2v",
        "global_model_train_epochs",
        7,
        FEDERATE
        | {"kd_training_epochs": 0, "global_model_train": True, "global_model_train_from_nodes_adapters": True},
        {"federation.server_epochs": 7},
    ),
    (
        "feda2v",
        "global_model_train_from_nodes_adapters",
        True,
        FEDERATE | {"global_model_train": True},
        {"synthetic.use": ["local", "server"]},
    ),
    (
        "feda2v",
        "global_model_train_from_generator",
        True,
        FEDERATE | {"global_model_train": True},
        {"synthetic.use": ["local", "server"]},
    ),
    ("feda2v", "audio_model_name", "AST", TRAIN, {"embedding.encoder": AST, "embedding.tokens": DEFAULT}),
    ("feda2v", "audio_model_name", "other/model", TRAIN, {"embedding.encoder": AST}),
    ("feda2v", "use_cls_token_only", True, {}, {"embedding.tokens": "cls", "embedding.encoder": AST}),
    (
        "feda2v",
        "generate_nodes_images_frequency",
        5,
        {},
        {
            "images.every": 5,
            "images.nodes": True,
            "images.server": False,
            "images.steps": 1,
            "images.pipeline": "black-forest-labs/FLUX.1-schnell",
            "images.dtype": "float32",
            "adapter.targets": "pipeline",
        },
    ),
    (
        "feda2v",
        "generate_global_images_frequency",
        3,
        PICTURES,
        {"images.every": 3, "images.nodes": True, "images.server": True},
    ),
    ("feda2v", "generate_low_memomy_footprint", True, PICTURES, {"images.dtype": "bfloat16"}),
    ("feda2v", "save_generated_images_splits", ["train", "test"], PICTURES, {"images.splits": ["train", "test"]}),
    (
        "feda2v",
        "img_pipe_name",
        "some/pipeline",
        PICTURES | {"diffusion_type": "sd"},
        {"images.pipeline": "some/pipeline", "images.steps": None},
    ),
    ("wandb", "disabled", False, {}, {"tracking.trackers": ["wandb"]}),
    ("nodes", "dataset", "VEGAS", {}, {"data.root": "data/VEGAS", "data.dataset": "vegas"}),
    ("nodes", "dataset", "VGGSound", {}, {"data.root": "data/VGGSound", "data.dataset": "vggsound"}),
    ("nodes", "selected_classes", ["Sea Waves", 0], {}, {"nodes.0.classes": ["sea_waves", "dog"]}),
    ("nodes", "excluded_classes", ["rain"], {}, {"nodes.0.classes": ["dog"]}),
    ("nodes", "generator_granularity", "per_class", TRAIN, {"nodes.0.granularity": "per_class"}),
    ("nodes", "generator_train_classes", ["dog"], TRAIN, {"nodes.0.train_classes": ["dog"]}),
    ("nodes", "generator_class_group", "Mine", TRAIN | PER_GROUP, {"nodes.0.group": "mine"}),
    ("nodes", "clip_adapter_learning_rate", 0.5, {}, {"nodes.0.clip_learning_rate": 0.5}),
    ("nodes", "t5_adapter_learning_rate", 0.5, {}, {"nodes.0.t5_learning_rate": 0.5}),
    ("nodes", "clip_adapter_weight_decay", 0.5, {}, {"adapter.clip_weight_decay": 0.5}),
    ("nodes", "t5_adapter_weight_decay", 0.5, {"t5_adapter_weight_decay": 0.25}, {"adapter.t5_weight_decay": 0.5}),
    ("nodes", "train_folds", [0, 1], {}, {"data.train_folds": [1, 2]}),
    ("nodes", "test_folds", [0], {}, {"data.test_folds": [1], "data.train_folds": [2, 3, 4, 5]}),
    ("nodes", "diffusion_type", "sd", {}, {"adapter.spaces": ["clip"]}),
    ("nodes", "use_cls_token_only", True, {}, {"nodes.0.tokens": "cls", "embedding.tokens": "all"}),
    ("nodes", "use_cls_token_only", False, {"use_cls_token_only": True}, {"nodes.0.tokens": "all"}),
    (
        "nodes",
        "train_ratio",
        0.7,
        {},
        {
            "data.split": "ratio",
            "data.train_ratio": 0.7,
            "data.val_ratio": 0.1,
            "data.evaluate_on": ["val", "test"],
        },
    ),
    ("nodes", "val_ratio", 0.2, {}, {"data.split": "ratio", "data.train_ratio": 0.8, "data.val_ratio": 0.2}),
]

#: Keys that say how others are read, or count with others; elsewhere in these tests it is shown what they do.
DECIDING = {
    "feda2v": (
        "use_generator",
        "generator_training_mode",
        "generator_only_mode",
        "use_pretrained_generators",
        "generator_load_checkpoint",
        "global_model_train",
        "train_adapters",
        "project",
        "entity",
        "wandb_mode",
        "nodes_test_metrics_splits",
    ),
    "dataset": ("name",),
    "experiment": ("description",),
    "nodes": (
        "val_folds",
        "use_folds",
        "test_ratio",
        "num_samples_per_class",
        "num_samples",
        "node_split_id",
        "samples_per_node",
        "node_split_seed",
        "use_official_split",
    ),
}

#: Keys that a profile has no place for, with a part of the reason that the report has to give.
DROPPED = {
    "experiment": {
        "device_id": "CUDA_VISIBLE_DEVICES",
        "runs": "--seed",
        "optimize_memory_usage": "experiment.memory",
        "optimize_memory": "no run of the earlier system read it",
        "use_balooning": "no memory is reserved",
        "debug": "no run of the earlier system read it",
    },
    "federation": {
        "num_clients": "nodes",
        "join_ratio": "all nodes took part in every round",
        "use_saved_audio_embeddings": "embedding.cache",
        "generate_images_frequency": "no run of the earlier system read it",
    },
    "training": {
        "optimizer": "AdamW",
        "learning_rate": "adapter.clip_learning_rate",
        "weight_decay": "weight decays of their own",
        "momentum": "AdamW",
        "learning_rate_schedule": "did not read it",
    },
    "model": dict.fromkeys(
        ["backbone", "backbone_model", "pretrained", "num_classes", "embedding_size", "patch_size", "patch_count"],
        "other algorithms",
    ),
    "dataset": dict.fromkeys(["image_size", "transform", "partition", "dir_alpha", "balance"], "did not read it")
    | {"path": "paths of data sets were fixed in the code"},
    "feda2v": {
        "adapter_aggregation_method": "no code read it",
        "adapters_learning_rate": "learning rates of their own",
        "adapters_weight_decay": "weight decays of their own",
        "adapters_learning_rate_schedule": "no run of the earlier system read it",
        "optimizer_clip_gradients": "adapter.clip_norm",
        "text_losses_summed": "no run of the earlier system read it",
        "adapter_checkpoint_frequency": "saved at the end",
        "adapter_checkpoint_per_type": "a file of its own",
        "generator_save_checkpoint": "always saved",
        "generator_validation_frequency": "feda2v evaluate",
        "generator_output_sequence_length": "embedding.tokens",
        "generator_target_sequence_length": "embedding.tokens",
        "pretrained_generator_path": "no code read it",
        "use_learned_upsampling": "embedding.tokens",
        "use_stratified_batching": "no run of the earlier system read it",
        "beta_warmup_ratio": "no code read it",
        "reset_generator_on_class_change": "weights of its own",
        "shared_generator_in_only_mode": "weights of its own",
        "compute_global_mean_from_class_means": "synthetic samples",
        "global_model_train_from_nodes_audio_embeddings": "synthetic samples",
        "global_model_train_inputs": "no run of the earlier system read it",
        "store_audio_embeddings": "embedding.cache",
        "audio_embedding_file_name": "embedding.cache",
        "generate_embeddings_only": "feda2v images",
        "embeddings_checkpoint_dir": "feda2v images",
        "nodes_train_metrics_splits": "every round",
        "server_train_metrics_splits": "every round",
        "server_test_metrics_splits": "data.evaluate_on",
        **dict.fromkeys(
            [
                "image_model_name",
                "img_lcm_lora_id",
                "audio_pipe_name",
                "generate_global_images_average_text_embeddings",
                "save_embeddings_instead_of_images",
                "embeddings_save_frequency",
                "generation_split_for_metrics",
                "use_act_loss",
                "use_text_loss",
                "use_image_loss",
                "steps",
                "mode",
                "ablation_type",
                "controllability_type",
                "target_img_path",
                "img_out_path",
                "audio_out_path",
                "class_to_activate",
                "single_class",
                "checkpoint_name",
                "lr1",
                "lr2",
                "lr3",
            ],
            "no run of the earlier system read it",
        ),
    },
    "nodes": {
        "adapter_dropout": "no effect",
        **dict.fromkeys(
            [
                "num_nodes",
                "limit_samples",
                "stratify",
                "dataset_split",
                "pretext_tasks",
                "task_type",
                "class_labels",
                "class_remapping",
                "balance_classes",
            ],
            "did not read it",
        ),
    },
}

#: Keys that are left out even where the part of a run that they are about is on.
DROPPED_WHEN_ON = (
    ("use_conditioned_vae", TRAIN, "always conditional"),
    ("kd_learning_rate", KD, "learning rates"),
    ("generate_from_clip_text_embeddings", PICTURES, "true targets"),
    ("generate_from_t5_text_embeddings", PICTURES, "true targets"),
    ("images_output_dir", PICTURES, "directory of the run"),
    ("output_image_base_name", PICTURES, "directory of the run"),
)

KNOWN = sorted(
    {(section, key) for section, key, *_ in CARRIED}
    | {(section, key) for section, keys in DECIDING.items() for key in keys}
    | {(section, key) for section, keys in DROPPED.items() for key in keys}
    | {("feda2v", key) for key, *_ in DROPPED_WHEN_ON}
    | {("federation", "algorithm")}
)


def sections(section: str, key: str, value: Any, others: dict[str, Any]) -> dict[str, Any]:
    node = {"dataset": "ESC50", "selected_classes": ["dog", "rain"]}
    config: dict[str, Any] = {"feda2v": dict(others), "nodes": {"0": node}}
    (node if section == "nodes" else config.setdefault(section, {}))[key] = value
    return config


def test_the_table_has_the_keys_of_the_earlier_system_each_once() -> None:
    assert sorted((key.section, key.name) for key in TABLE) == KNOWN


@pytest.mark.parametrize(
    ("section", "key", "value", "others", "expected"), CARRIED, ids=[f"{row[0]}.{row[1]}={row[2]}" for row in CARRIED]
)
def test_a_key_goes_into_the_profile(  # type: ignore[no-untyped-def]
    section: str, key: str, value: Any, others: dict[str, Any], expected: dict[str, Any], converted
) -> None:
    result = converted(sections(section, key, value, others))

    plain = converted(feda2v=others)
    wanted = {name: plain.value(name) if value is DEFAULT else value for name, value in expected.items()}
    assert {name: result.value(name) for name in expected} == wanted
    path = f"nodes.0.{key}" if section == "nodes" else f"{section}.{key}"
    assert path in [row["key"] for row in result.report["renamed"]]


@pytest.mark.parametrize(("section", "key"), [(section, key) for section, keys in DROPPED.items() for key in keys])
def test_a_key_without_a_place_is_reported_with_the_reason(section: str, key: str, converted) -> None:  # type: ignore[no-untyped-def]
    plain = converted(sections(section, "_comment", "", {}))

    result = converted(sections(section, key, "x", {}))

    path = f"nodes.0.{key}" if section == "nodes" else f"{section}.{key}"
    assert [drop["key"] for drop in result.report["dropped"]] == [path]
    assert DROPPED[section][key] in result.report["dropped"][0]["reason"]
    assert result.report["unknown"] == []
    assert result.profile == plain.profile


@pytest.mark.parametrize(("key", "others", "reason"), DROPPED_WHEN_ON)
def test_a_key_of_a_part_that_is_on_can_have_no_place_either(  # type: ignore[no-untyped-def]
    key: str, others: dict[str, Any], reason: str, converted
) -> None:
    dropped = {drop["key"]: drop["reason"] for drop in converted(feda2v=others | {key: "x"}).report["dropped"]}

    assert reason in dropped[f"feda2v.{key}"]


def test_no_seed_is_left_out(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(experiment={"seed": -1})

    assert [drop["key"] for drop in result.report["dropped"]] == ["experiment.seed"]
    assert result.value("experiment.seed") == 0


@pytest.mark.parametrize("section", ["rewind", "fedgfe"])
def test_a_section_of_another_algorithm_is_dropped_whole(section: str, converted) -> None:  # type: ignore[no-untyped-def]
    result = converted({section: {"anything": 1}})

    assert [(drop["key"], drop["reason"]) for drop in result.report["dropped"]] == [
        (section, "it belongs to another algorithm")
    ]


def test_a_description_becomes_a_comment(converted) -> None:  # type: ignore[no-untyped-def]
    assert "# two words\n" in converted(experiment={"description": "two words"}).text


def test_the_data_set_of_the_file_serves_nodes_that_name_none(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(dataset={"name": "VEGAS"}, nodes={"0": {"selected_classes": ["drum"]}})

    assert result.value("data.root") == "data/VEGAS"


WARNED: list[tuple[str, str, Any, dict[str, Any], str]] = [
    ("federation", "model_aggregation", "per_class_average", {}, "averaged nothing with it; here it does"),
    ("feda2v", "adapter_aggregation_mode", "weighted_avg", {}, "aggregated nothing; here it is fedavg"),
    ("feda2v", "adapter_aggregation_method", "avg", {}, "no code read this key, and nothing was aggregated"),
    ("feda2v", "audio_model_name", "other/model", {}, "the earlier system always took MIT/ast"),
    ("feda2v", "generator_type", "gan", TRAIN, "there are no gan generators: the profile trains a vae"),
    ("feda2v", "generate_global_images_frequency", 3, PICTURES, "in the same rounds: every 3"),
    ("feda2v", "global_model_train_from_generator", True, FEDERATE | {"global_model_train": True}, "here both do"),
    ("feda2v", "diffusion_type", "cogx", {}, "neither flux nor sd"),
    ("federation", "global_rounds", 100, TRAIN, "100 rounds x 20 default epochs are 2,000 epochs"),
    ("nodes", "train_folds", [0, 1], {}, "the earlier system split the clips by ratio"),
    ("nodes", "generator_train_classes", ["cow", "dog"], TRAIN, "the node does not hold cow: left out, as before"),
    ("nodes", "selected_classes", ["dog", "dgo"], {}, "no class of this data set: left out, as before; did you"),
]
NOTED: list[tuple[str, str, Any, dict[str, Any], str]] = [
    ("experiment", "device", "cuda:1", {}, "CUDA_VISIBLE_DEVICES=1"),
    ("federation", "num_clients", 5, {}, "there are 1 entries under nodes"),
    ("feda2v", "kd_samples_per_class", 5, KD | {"synthetic_samples_per_class": 3}, "gives way to"),
    ("feda2v", "generator_checkpoint_dir", "checkpoints/generators_per_group", TRAIN, "are in checkpoints/generators"),
    ("feda2v", "generator_checkpoint_base_name", "my vae", TRAIN, 'no base name, made "my_vae"'),
    ("feda2v", "generator_training_epochs", "3", TRAIN, '= "3" — text, read as 3'),
    ("nodes", "diffusion_type", "sd", {"diffusion_type": "flux"}, "it is flux for the federation"),
    ("nodes", "generator_class_group", "mine", TRAIN, "it has no meaning with granularity unified"),
    ("nodes", "selected_classes", ["dog", "Dog"], {}, "named twice"),
]


@pytest.mark.parametrize(("section", "key", "value", "others", "warning"), WARNED)
def test_what_makes_another_result_is_a_warning(  # type: ignore[no-untyped-def]
    section: str, key: str, value: Any, others: dict[str, Any], warning: str, converted
) -> None:
    assert warning in converted(sections(section, key, value, others)).warnings


@pytest.mark.parametrize(("section", "key", "value", "others", "note"), NOTED)
def test_what_makes_no_other_result_is_a_note_and_no_warning(  # type: ignore[no-untyped-def]
    section: str, key: str, value: Any, others: dict[str, Any], note: str, converted
) -> None:
    result = converted(sections(section, key, value, others))

    assert note in result.notes
    assert note not in result.warnings
