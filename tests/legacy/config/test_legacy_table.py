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
    ("federation", "join_ratio", 0.5, {}, {"federation.fraction": 0.5}),
    ("federation", "eval_gap", 2, {}, {"federation.evaluate_every": 2}),
    ("federation", "model_aggregation", "per_class_average", {}, {"federation.strategy": "per_class_average"}),
    ("federation", "model_aggregation", "none", {}, {"federation.strategy": "none"}),
    ("federation", "diffusion_type", "sd", {}, {"adapter.spaces": ["clip"]}),
    ("training", "batch_size", 8, TRAIN, {"generator.batch_size": 8, "adapter.batch_size": DEFAULT}),
    ("training", "batch_size", 8, FEDERATE, {"generator.batch_size": DEFAULT, "adapter.batch_size": 8}),
    ("training", "weight_decay", 0.5, {}, {"adapter.weight_decay": 0.5}),
    ("dataset", "path", "sounds", {}, {"data.root": "sounds"}),
    ("feda2v", "diffusion_type", "sd", {}, {"adapter.spaces": ["clip"]}),
    ("feda2v", "adapter_aggregation_mode", "avg", {}, {"federation.strategy": "fedavg"}),
    ("feda2v", "adapter_aggregation_mode", "weighted_avg", {}, {"federation.strategy": "fedavg"}),
    ("feda2v", "adapter_aggregation_mode", "none", {}, {"federation.strategy": "none"}),
    ("feda2v", "adapter_aggregation_mode", "kd", FEDERATE, {"federation.strategy": "kd", "synthetic.use": ["kd"]}),
    ("feda2v", "adapter_aggregation_method", "none", {}, {"federation.strategy": "none"}),
    ("feda2v", "clip_adapter_learning_rate", 0.5, {}, {"adapter.clip_learning_rate": 0.5}),
    ("feda2v", "t5_adapter_learning_rate", 0.5, {}, {"adapter.t5_learning_rate": 0.5}),
    (
        "feda2v",
        "adapters_learning_rate",
        0.5,
        {"t5_adapter_learning_rate": 0.25},
        {"adapter.clip_learning_rate": 0.5, "adapter.t5_learning_rate": 0.25},
    ),
    ("feda2v", "clip_adapter_weight_decay", 0.5, {}, {"adapter.weight_decay": 0.5}),
    ("feda2v", "t5_adapter_weight_decay", 0.5, {}, {"adapter.weight_decay": 0.5}),
    ("feda2v", "adapters_weight_decay", 0.5, {}, {"adapter.weight_decay": 0.5}),
    ("feda2v", "adapter_checkpoint_dir", "there", {}, {"checkpoint.adapter_dir": "there"}),
    ("feda2v", "adapter_checkpoint_base_name", "map", {}, {"checkpoint.adapter_base_name": "map"}),
    ("feda2v", "adapter_checkpoint_frequency", 3, FEDERATE, {"checkpoint.every": 3}),
    ("feda2v", "generator_type", "VAE", {}, {"generator.type": "vae"}),
    ("feda2v", "generator_type", "gaussian", {}, {"generator.type": "gaussian"}),
    ("feda2v", "generator_granularity", "per_class", {}, {"generator.granularity": "per_class"}),
    ("feda2v", "generator_granularity", "unified", FEDERATE, {"generator.granularity": "auto"}),
    (
        "feda2v",
        "generator_class_groups",
        {"Wild Animals": ["Sea Lion"], "b": ["dog", "rain"]},
        {},
        {"generator.groups": {"wild_animals": ["sea_lion"], "b": ["dog", "rain"]}},
    ),
    (
        "feda2v",
        "generator_checkpoint_path",
        "old/vae_1.pt",
        {"generator_checkpoint_dir": "x"},
        {"checkpoint.dir": "old", "checkpoint.base_name": "vae_1"},
    ),
    ("feda2v", "generator_checkpoint_dir", "there", {}, {"checkpoint.dir": "there"}),
    ("feda2v", "generator_checkpoint_base_name", "mine", {}, {"checkpoint.base_name": "mine"}),
    ("feda2v", "pretrained_generator_path", "old/vae.pt", {}, {"checkpoint.dir": "old", "checkpoint.base_name": "vae"}),
    ("feda2v", "generator_checkpoint_frequency", 3, {}, {"checkpoint.every": 3}),
    ("feda2v", "generator_training_epochs", 3, {}, {"generator.epochs": 3}),
    ("feda2v", "generator_augmentation", False, {}, {"generator.noise": 0}),
    ("feda2v", "generator_augmentation", False, {"generator_augmentation_noise": 0.5}, {"generator.noise": 0}),
    ("feda2v", "generator_augmentation_noise", 0.5, {}, {"generator.noise": 0.5}),
    ("feda2v", "generator_augmentation_noise", 0.5, {"generator_augmentation": True}, {"generator.noise": 0.5}),
    ("feda2v", "generator_training_sequence_length", 8, {}, {"embedding.tokens": 8}),
    ("feda2v", "beta_warmup_ratio", 0.75, {}, {"generator.kl_warmup_share": 0.75}),
    ("feda2v", "synthetic_samples_per_class", 3, FEDERATE, {"synthetic.per_class": 3}),
    ("feda2v", "synthetic_samples_per_class", "auto", FEDERATE, {"synthetic.per_class": "auto"}),
    (
        "feda2v",
        "kd_samples_per_class",
        3,
        FEDERATE | {"adapter_aggregation_mode": "kd"},
        {"synthetic.per_class": 3},
    ),
    (
        "feda2v",
        "kd_training_epochs",
        7,
        FEDERATE | {"adapter_aggregation_mode": "kd", "global_model_train_epochs": 2},
        {"federation.server_epochs": 7},
    ),
    ("feda2v", "global_model_train_epochs", 7, {"kd_training_epochs": 2}, {"federation.server_epochs": 7}),
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
    (
        "feda2v",
        "audio_model_name",
        "AST",
        {},
        {"embedding.encoder": "MIT/ast-finetuned-audioset-10-10-0.4593"},
    ),
    ("feda2v", "audio_model_name", "other/model", {}, {"embedding.encoder": "other/model"}),
    ("feda2v", "use_cls_token_only", True, {}, {"embedding.tokens": 1}),
    ("nodes", "dataset", "VEGAS", {}, {"data.root": "data/VEGAS", "data.dataset": "esc50"}),
    ("nodes", "selected_classes", ["Sea Waves", 0], {}, {"nodes.0.classes": ["sea_waves", "dog"]}),
    ("nodes", "excluded_classes", ["rain"], {}, {"nodes.0.classes": ["dog"]}),
    ("nodes", "generator_granularity", "per_class", {}, {"nodes.0.granularity": "per_class"}),
    ("nodes", "generator_train_classes", ["dog"], {}, {"nodes.0.train_classes": ["dog"]}),
    ("nodes", "generator_class_group", "Mine", PER_GROUP, {"nodes.0.group": "mine"}),
    ("nodes", "clip_adapter_learning_rate", 0.5, {}, {"nodes.0.clip_learning_rate": 0.5}),
    ("nodes", "t5_adapter_learning_rate", 0.5, {}, {"nodes.0.t5_learning_rate": 0.5}),
    ("nodes", "train_folds", [0, 1], {}, {"data.train_folds": [1, 2]}),
    ("nodes", "test_folds", [0], {}, {"data.test_folds": [1], "data.train_folds": [2, 3, 4, 5]}),
    ("nodes", "diffusion_type", "sd", {}, {"adapter.spaces": ["clip"]}),
]

#: Keys that say how others are read.
DECIDING = {
    "feda2v": (
        "use_generator",
        "generator_training_mode",
        "generator_only_mode",
        "use_pretrained_generators",
        "generator_load_checkpoint",
        "global_model_train",
    ),
    "dataset": ("name",),
    "experiment": ("description",),
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
        "algorithm": "FedA2V",
        "num_clients": "nodes",
        "use_saved_audio_embeddings": "embedding.cache",
        "generate_images_frequency": "images are not made yet",
    },
    "training": {
        "optimizer": "AdamW",
        "learning_rate": "adapter.clip_learning_rate",
        "momentum": "AdamW",
        "learning_rate_schedule": "adapter.schedule",
    },
    "model": dict.fromkeys(
        ["backbone", "backbone_model", "pretrained", "num_classes", "embedding_size", "patch_size", "patch_count"],
        "other algorithms",
    ),
    "dataset": dict.fromkeys(["image_size", "transform", "partition", "dir_alpha", "balance"], "did not read it"),
    "wandb": {"disabled": "metrics.jsonl"},
    "feda2v": {
        "clip_adapter_learning_rate_schedule": "adapter.schedule",
        "t5_adapter_learning_rate_schedule": "adapter.schedule",
        "adapters_learning_rate_schedule": "adapter.schedule",
        "optimizer_clip_gradients": "adapter.clip_norm",
        "train_adapters": "feda2v federate",
        "text_losses_summed": "no run of the earlier system read it",
        "adapter_save_checkpoint": "always saved",
        "adapter_load_checkpoint": "--resume",
        "adapter_checkpoint_per_type": "a file of its own",
        "use_conditioned_vae": "always conditional",
        "generator_save_checkpoint": "always saved",
        "generator_validation_frequency": "feda2v evaluate",
        "generator_output_sequence_length": "embedding.tokens",
        "generator_target_sequence_length": "embedding.tokens",
        "use_learned_upsampling": "embedding.tokens",
        "use_stratified_batching": "no run of the earlier system read it",
        "reset_generator_on_class_change": "weights of its own",
        "shared_generator_in_only_mode": "weights of its own",
        "kd_learning_rate": "learning rates",
        "compute_global_mean_from_class_means": "synthetic samples",
        "global_model_train_from_nodes_audio_embeddings": "synthetic samples",
        "global_model_train_inputs": "no run of the earlier system read it",
        "store_audio_embeddings": "embedding.cache",
        "audio_embedding_file_name": "embedding.cache",
        **dict.fromkeys(
            [
                "image_model_name",
                "img_pipe_name",
                "img_lcm_lora_id",
                "audio_pipe_name",
                "generate_nodes_images_frequency",
                "generate_global_images_frequency",
                "generate_low_memomy_footprint",
                "generate_from_clip_text_embeddings",
                "generate_from_t5_text_embeddings",
                "generate_global_images_average_text_embeddings",
                "images_output_dir",
                "output_image_base_name",
                "save_generated_images_splits",
                "generate_embeddings_only",
                "embeddings_checkpoint_dir",
                "save_embeddings_instead_of_images",
                "embeddings_save_frequency",
            ],
            "images are not made yet",
        ),
        **dict.fromkeys(
            [
                "generation_split_for_metrics",
                "nodes_test_metrics_splits",
                "nodes_train_metrics_splits",
                "server_test_metrics_splits",
                "server_train_metrics_splits",
            ],
            "data.test_folds",
        ),
        **dict.fromkeys(
            [
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
        **dict.fromkeys(["project", "entity", "wandb_mode"], "metrics.jsonl"),
    },
    "nodes": {
        "clip_adapter_weight_decay": "adapter.weight_decay",
        "t5_adapter_weight_decay": "adapter.weight_decay",
        "val_folds": "validation",
        "use_folds": "folds always count",
        "use_cls_token_only": "feda2v.use_cls_token_only",
        "adapter_dropout": "no effect",
        **dict.fromkeys(["train_ratio", "val_ratio", "test_ratio"], "0.8 and 0.2"),
        **dict.fromkeys(
            [
                "num_samples_per_class",
                "num_samples",
                "node_split_id",
                "samples_per_node",
                "node_split_seed",
                "num_nodes",
                "limit_samples",
            ],
            "blocks of clips are not there",
        ),
        "use_official_split": "VGGSound",
        **dict.fromkeys(
            [
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

KNOWN = sorted(
    {(section, key) for section, key, *_ in CARRIED}
    | {(section, key) for section, keys in DECIDING.items() for key in keys}
    | {(section, key) for section, keys in DROPPED.items() for key in keys}
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


@pytest.mark.parametrize(
    ("section", "key", "value", "others", "warning"),
    [
        ("experiment", "device", "cuda:1", {}, "CUDA_VISIBLE_DEVICES=1"),
        ("federation", "join_ratio", 0.5, {}, "= 0.5 — in the earlier system all nodes took part in every round"),
        ("federation", "algorithm", "FedAvg", {}, "another algorithm than FedA2V"),
        ("federation", "num_clients", 5, {}, "there are 1 entries under nodes"),
        ("federation", "eval_gap", 2, {}, "without train_adapters the earlier system left evaluation out"),
        ("federation", "model_aggregation", "per_class_average", {}, "averaged nothing with it"),
        ("training", "batch_size", 8, TRAIN, "took one clip at a time"),
        ("training", "weight_decay", 0.5, {}, "the adapters had a weight decay of their own"),
        ("dataset", "path", "sounds", {}, "paths of data sets were fixed in the code"),
        ("feda2v", "adapter_aggregation_mode", "avg", {}, "every node had the same weight"),
        ("feda2v", "adapter_aggregation_method", "avg", {}, "adapter_aggregation_mode was what counted"),
        ("feda2v", "adapters_learning_rate", 0.5, {}, "the adapters had learning rates of their own"),
        ("feda2v", "adapters_weight_decay", 0.5, {}, "the adapters had a weight decay of their own"),
        ("feda2v", "t5_adapter_weight_decay", 0.5, {"clip_adapter_weight_decay": 0.25}, "gives way to"),
        ("feda2v", "audio_model_name", "other/model", {}, "the earlier system always took MIT/ast"),
        ("feda2v", "generator_type", "gan", {}, "gan generators are not there yet: the profile trains a vae"),
        ("feda2v", "generator_checkpoint_frequency", 3, {}, "nodes saved every 5 rounds"),
        ("feda2v", "generator_augmentation_noise", 0.5, {}, "the earlier system added no noise"),
        ("feda2v", "beta_warmup_ratio", 0.75, {}, "warmed up over half of the training"),
        ("feda2v", "use_cls_token_only", True, {}, "embedding.tokens = 1 is the mean over time"),
        ("feda2v", "pretrained_generator_path", "old/vae.pt", {}, "no code read this key"),
        ("feda2v", "generator_checkpoint_dir", "checkpoints/generators_per_group", {}, "are in checkpoints/generators"),
        ("feda2v", "generator_checkpoint_base_name", "my vae", {}, 'no base name, made "my_vae"'),
        ("feda2v", "global_model_train_from_generator", True, FEDERATE | {"global_model_train": True}, "here it does"),
        ("feda2v", "generator_training_epochs", "3", {}, '= "3" — text, read as 3'),
        ("feda2v", "diffusion_type", "cogx", {}, "neither flux nor sd"),
        ("nodes", "diffusion_type", "sd", {"diffusion_type": "flux"}, "it is flux for the federation"),
        ("nodes", "train_folds", [0, 1], {}, "the earlier system split the clips by ratio"),
        ("nodes", "generator_class_group", "mine", {}, "it has no meaning with granularity unified"),
        ("nodes", "generator_train_classes", ["cow", "dog"], {}, "the node does not hold cow: left out, as before"),
        ("nodes", "selected_classes", ["dog", "dgo"], {}, "no class of this data set: left out, as before; did you"),
        ("nodes", "selected_classes", ["dog", "Dog"], {}, "named twice"),
    ],
)
def test_what_the_earlier_run_did_otherwise_is_a_warning(  # type: ignore[no-untyped-def]
    section: str, key: str, value: Any, others: dict[str, Any], warning: str, converted
) -> None:
    assert warning in converted(sections(section, key, value, others)).warnings
