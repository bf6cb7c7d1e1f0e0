"""The mapping table: every key of the earlier system, in the order in which its keys take precedence.

It is the only source of what becomes of a key: the converter, its report and docs/convert-config.md are made from it.
"""

from feda2v_cli.legacy.config import generators, nodes, rules
from feda2v_cli.legacy.config.legacy_key import LegacyKey

_IMAGES = "images are not made yet"
_LEGACY = "a left-over: no run of the earlier system read it"
_OTHER_MODEL = "the model of other algorithms: FedA2V did not read it"
_FIXED_DATA = "FedA2V did not read it"
_TRACKING = "trackers are not there yet: a run writes metrics.jsonl and summary.json into its directory"
_SPLITS = "evaluation is on the held-out folds, data.test_folds"
_RATIOS = "folds train or test: four of five and one of five are 0.8 and 0.2"
_BLOCKS = "nodes hold the clips of the folds: blocks of clips are not there"
_CACHE = "embeddings are always kept, in embedding.cache"
_ALWAYS_SAVED = "checkpoints are always saved"
_ONE_OPTIMISER = "AdamW trains everything"
_NO_SCHEDULE = "adapter.schedule is one for both adapters and is not taken over: cosine, or constant"
_MODES = "decides which run the profile is for"
_RESUME = "--resume goes on with a run that was interrupted"
_OWN_WEIGHTS = "every generator has weights of its own"
_DISTILLS = "what distils is AdamW with the adapters' learning rates"
_NEVER_SYNTHETIC = "synthetic samples take the place of nodes' embeddings on the server"
_TARGETS = (
    "adapter.shapes and adapter.targets go together: with the earlier system's dictionary of text embeddings, write "
    'its path into adapter.targets and shapes = "flux" or "sd"; sd has no target space t5'
)
_BY_RATIO = "ESC-50 was split by ratio whatever the folds were"

EXPERIMENT = (
    LegacyKey("experiment", "name", rules.name, ("experiment.name",)),
    LegacyKey("experiment", "goal", rules.name, ("experiment.name",), "used where there is no name"),
    LegacyKey("experiment", "description", rules.description, (), "becomes a comment at the top"),
    LegacyKey(
        "experiment",
        "device",
        rules.device,
        ("experiment.device",),
        "cuda was written, and the default, whether there was a GPU or not: auto takes one when there is one",
    ),
    LegacyKey("experiment", "device_id", rules.drop, (), "choose a GPU with the environment: CUDA_VISIBLE_DEVICES=1"),
    LegacyKey(
        "experiment",
        "runs",
        rules.drop,
        (),
        "it counted repetitions: run the command again with another --seed (experiment.runs is a directory)",
    ),
    LegacyKey(
        "experiment",
        "seed",
        rules.seed,
        ("experiment.seed",),
        "-1, no seed, is left out",
        legacy_default="-1, no seed",
    ),
    LegacyKey(
        "experiment",
        "optimize_memory_usage",
        rules.drop,
        (),
        "what training may take is experiment.memory, or --memory",
    ),
    LegacyKey("experiment", "optimize_memory", rules.drop, (), _LEGACY),
    LegacyKey("experiment", "use_balooning", rules.drop, (), "no memory is reserved that is not used"),
    LegacyKey("experiment", "debug", rules.drop, (), _LEGACY),
)

FEDERATION = (
    LegacyKey("federation", "algorithm", rules.algorithm, (), "there is one algorithm, FedA2V"),
    LegacyKey("federation", "num_clients", rules.node_count, (), "the entries under nodes were what counted"),
    LegacyKey(
        "federation",
        "global_rounds",
        rules.rounds,
        ("generator.rounds", "federation.rounds"),
        "the first in a configuration for RUN 1, the second in one for RUN 2",
        legacy_default="100",
    ),
    LegacyKey(
        "federation", "local_epochs", rules.carry, ("federation.local_epochs",), "of the adapters", legacy_default="1"
    ),
    LegacyKey(
        "federation",
        "join_ratio",
        rules.carry,
        ("federation.fraction",),
        instead="all nodes took part in every round",
        unless=1,
    ),
    LegacyKey(
        "federation",
        "eval_gap",
        rules.evaluation,
        ("federation.evaluate_every",),
        "the earlier system left evaluation out unless feda2v.train_adapters was true",
        legacy_default="1",
    ),
    LegacyKey("federation", "use_saved_audio_embeddings", rules.drop, (), _CACHE),
    LegacyKey("federation", "generate_images_frequency", rules.drop, (), _IMAGES),
)

#: What stands in both sections, or gives way to a key of the section feda2v.
AGGREGATION = (
    LegacyKey(
        "feda2v",
        "adapter_aggregation_mode",
        rules.strategy,
        ("federation.strategy",),
        "avg and weighted_avg are fedavg, which weighs nodes by their clips; kd also becomes synthetic.use = kd",
        legacy_default="none",
    ),
    LegacyKey(
        "feda2v",
        "adapter_aggregation_method",
        rules.strategy,
        ("federation.strategy",),
        "used where there is no adapter_aggregation_mode",
        instead="adapter_aggregation_mode was what counted",
    ),
    LegacyKey(
        "federation",
        "model_aggregation",
        rules.aggregation,
        ("federation.strategy",),
        "used where no key of the section feda2v says how adapters are aggregated",
    ),
    LegacyKey("federation", "diffusion_type", rules.diffusion, ("adapter.spaces",), _TARGETS),
    LegacyKey("feda2v", "diffusion_type", rules.diffusion, ("adapter.spaces",), _TARGETS),
)

ADAPTERS = (
    LegacyKey(
        "feda2v",
        "clip_adapter_learning_rate",
        rules.carry,
        ("adapter.clip_learning_rate",),
        legacy_default="0.0001",
    ),
    LegacyKey("feda2v", "t5_adapter_learning_rate", rules.carry, ("adapter.t5_learning_rate",), legacy_default="0.001"),
    LegacyKey(
        "feda2v",
        "adapters_learning_rate",
        rules.fill,
        ("adapter.clip_learning_rate", "adapter.t5_learning_rate"),
        "used for an adapter that has no learning rate of its own",
        instead="the adapters had learning rates of their own, or 0.0001 for clip and 0.001 for t5",
    ),
    LegacyKey("feda2v", "clip_adapter_weight_decay", rules.carry, ("adapter.weight_decay",), "one for both adapters"),
    LegacyKey(
        "feda2v",
        "t5_adapter_weight_decay",
        rules.carry,
        ("adapter.weight_decay",),
        "one for both adapters, that of clip where they differ",
    ),
    LegacyKey(
        "feda2v",
        "adapters_weight_decay",
        rules.carry,
        ("adapter.weight_decay",),
        "used where no adapter has one",
        instead="the adapters had a weight decay of their own, or 0.0001 for clip and 0.001 for t5",
    ),
    LegacyKey(
        "training",
        "weight_decay",
        rules.carry,
        ("adapter.weight_decay",),
        "used where no key of the section feda2v has one",
        instead="the adapters had a weight decay of their own, or 0.0001 for clip and 0.001 for t5",
    ),
    LegacyKey("feda2v", "clip_adapter_learning_rate_schedule", rules.drop, (), _NO_SCHEDULE),
    LegacyKey("feda2v", "t5_adapter_learning_rate_schedule", rules.drop, (), _NO_SCHEDULE),
    LegacyKey("feda2v", "adapters_learning_rate_schedule", rules.drop, (), _NO_SCHEDULE),
    LegacyKey(
        "feda2v",
        "optimizer_clip_gradients",
        rules.drop,
        (),
        "gradients are always clipped, to norm 1 unless adapter.clip_norm says otherwise",
    ),
    LegacyKey("feda2v", "train_adapters", rules.drop, (), "adapters are trained by feda2v federate, and evaluated"),
    LegacyKey("feda2v", "text_losses_summed", rules.drop, (), _LEGACY),
    LegacyKey("feda2v", "adapter_checkpoint_dir", rules.carry, ("checkpoint.adapter_dir",)),
    LegacyKey("feda2v", "adapter_checkpoint_base_name", generators.base_name, ("checkpoint.adapter_base_name",)),
    LegacyKey("feda2v", "adapter_save_checkpoint", rules.drop, (), _ALWAYS_SAVED),
    LegacyKey("feda2v", "adapter_load_checkpoint", rules.drop, (), _RESUME),
    LegacyKey(
        "feda2v",
        "adapter_checkpoint_frequency",
        rules.adapter_frequency,
        ("checkpoint.every",),
        "in a configuration for RUN 2; where generators are trained, generator_checkpoint_frequency counts",
    ),
    LegacyKey("feda2v", "adapter_checkpoint_per_type", rules.drop, (), "every adapter has a file of its own"),
)

TRAINING = (
    LegacyKey("training", "optimizer", rules.drop, (), f"{_ONE_OPTIMISER}; it was the only one that worked"),
    LegacyKey(
        "training",
        "learning_rate",
        rules.drop,
        (),
        "it moved the server's adapters alone; the nodes' are adapter.clip_learning_rate and adapter.t5_learning_rate",
    ),
    LegacyKey(
        "training",
        "batch_size",
        rules.batch_size,
        ("generator.batch_size", "adapter.batch_size"),
        "the first in a configuration for RUN 1, the second in one for RUN 2",
        legacy_default="10",
    ),
    LegacyKey("training", "momentum", rules.drop, (), _ONE_OPTIMISER),
    LegacyKey("training", "learning_rate_schedule", rules.drop, (), _NO_SCHEDULE),
)

MODEL = tuple(
    LegacyKey("model", name, rules.drop, (), _OTHER_MODEL)
    for name in (
        "backbone",
        "backbone_model",
        "pretrained",
        "num_classes",
        "embedding_size",
        "patch_size",
        "patch_count",
    )
)

DATASET = (
    LegacyKey("dataset", "name", rules.decide, (), "the data set of nodes that name none"),
    LegacyKey(
        "dataset",
        "path",
        rules.carry,
        ("data.root",),
        "in the layout of the official ESC-50",
        instead="paths of data sets were fixed in the code",
    ),
    *(
        LegacyKey("dataset", name, rules.drop, (), _FIXED_DATA)
        for name in ("image_size", "transform", "partition", "dir_alpha", "balance")
    ),
)

MODES = (
    LegacyKey("feda2v", "use_generator", rules.decide, (), "whether there are generators at all"),
    LegacyKey("feda2v", "generator_training_mode", rules.decide, (), _MODES),
    LegacyKey("feda2v", "generator_only_mode", rules.decide, (), _MODES),
    LegacyKey("feda2v", "use_pretrained_generators", rules.decide, (), _MODES),
    LegacyKey("feda2v", "generator_load_checkpoint", rules.decide, (), _MODES),
)

GENERATORS = (
    LegacyKey(
        "feda2v",
        "generator_type",
        rules.generator_type,
        ("generator.type",),
        "vae alone: gan and diffusion are not there yet",
    ),
    LegacyKey(
        "feda2v",
        "use_conditioned_vae",
        rules.drop,
        (),
        "a vae of several classes is always conditional on the class, so that every sample has a label",
    ),
    LegacyKey(
        "feda2v",
        "generator_granularity",
        generators.granularity,
        ("generator.granularity",),
        "unified becomes auto in a configuration for RUN 2 with the file names of unified: RUN 2 reads the granularity "
        "from the checkpoints, and no key has to be edited when another was trained",
    ),
    LegacyKey(
        "feda2v",
        "generator_class_groups",
        generators.groups,
        ("generator.groups",),
        "names in lower case with underscores; classes in no group form the group other, as before",
    ),
    LegacyKey(
        "feda2v",
        "generator_checkpoint_path",
        rules.checkpoint_path,
        ("checkpoint.dir", "checkpoint.base_name"),
        "directory and base name in one; it beats the two keys",
    ),
    LegacyKey(
        "feda2v",
        "generator_checkpoint_dir",
        rules.carry,
        ("checkpoint.dir",),
        "not written when it is where the granularity's checkpoints lie anyway",
        legacy_default="checkpoints/generators",
    ),
    LegacyKey(
        "feda2v",
        "generator_checkpoint_base_name",
        generators.base_name,
        ("checkpoint.base_name",),
        "not written when it is the granularity's own",
        legacy_default="generator",
    ),
    LegacyKey(
        "feda2v",
        "pretrained_generator_path",
        rules.checkpoint_path,
        ("checkpoint.dir", "checkpoint.base_name"),
        "used where no other key says where checkpoints lie",
        instead="no code read this key",
    ),
    LegacyKey("feda2v", "generator_save_checkpoint", rules.drop, (), _ALWAYS_SAVED),
    LegacyKey(
        "feda2v",
        "generator_checkpoint_frequency",
        rules.carry,
        ("checkpoint.every",),
        instead="nodes saved every 5 rounds, and every round in only-mode",
        unless=5,
    ),
    LegacyKey("feda2v", "generator_training_epochs", rules.carry, ("generator.epochs",), "epochs a round"),
    LegacyKey(
        "feda2v",
        "generator_augmentation",
        rules.augmentation,
        ("generator.noise",),
        "false is no noise; true is generator_augmentation_noise, and without one there is none",
    ),
    LegacyKey(
        "feda2v",
        "generator_augmentation_noise",
        rules.augmentation,
        ("generator.noise",),
        "the unit was that of embeddings, now it is their standard deviation",
    ),
    LegacyKey(
        "feda2v", "generator_validation_frequency", rules.drop, (), "feda2v evaluate measures samples, with floors"
    ),
    LegacyKey(
        "feda2v", "generator_training_sequence_length", rules.carry, ("embedding.tokens",), "tokens of an embedding"
    ),
    LegacyKey("feda2v", "generator_output_sequence_length", rules.drop, (), "samples have embedding.tokens tokens"),
    LegacyKey("feda2v", "generator_target_sequence_length", rules.drop, (), "samples have embedding.tokens tokens"),
    LegacyKey("feda2v", "use_learned_upsampling", rules.drop, (), "samples have embedding.tokens tokens"),
    LegacyKey("feda2v", "use_stratified_batching", rules.drop, (), _LEGACY),
    LegacyKey(
        "feda2v",
        "beta_warmup_ratio",
        rules.carry,
        ("generator.kl_warmup_share",),
        instead="the KL term warmed up over half of the training",
        unless=0.5,
    ),
    LegacyKey("feda2v", "reset_generator_on_class_change", rules.drop, (), _OWN_WEIGHTS),
    LegacyKey("feda2v", "shared_generator_in_only_mode", rules.drop, (), _OWN_WEIGHTS),
)

SYNTHETIC = (
    LegacyKey(
        "feda2v",
        "synthetic_samples_per_class",
        rules.synthetic_count,
        ("synthetic.per_class",),
        legacy_default="auto",
    ),
    LegacyKey(
        "feda2v",
        "kd_samples_per_class",
        rules.kd_samples,
        ("synthetic.per_class",),
        "with adapter_aggregation_mode kd, where there is no synthetic_samples_per_class",
    ),
    LegacyKey(
        "feda2v",
        "kd_training_epochs",
        rules.server_epochs,
        ("federation.server_epochs",),
        "with adapter_aggregation_mode kd",
    ),
    LegacyKey("feda2v", "kd_learning_rate", rules.drop, (), _DISTILLS),
    LegacyKey("feda2v", "compute_global_mean_from_class_means", rules.drop, (), _NEVER_SYNTHETIC),
    LegacyKey("feda2v", "global_model_train", rules.decide, (), "whether the next keys count"),
    LegacyKey(
        "feda2v",
        "global_model_train_epochs",
        rules.server_epochs,
        ("federation.server_epochs",),
        "without adapter_aggregation_mode kd",
    ),
    LegacyKey(
        "feda2v",
        "global_model_train_from_nodes_adapters",
        rules.server_training,
        ("synthetic.use",),
        "true, with global_model_train, is synthetic.use = local and server; else it is left out",
    ),
    LegacyKey(
        "feda2v",
        "global_model_train_from_generator",
        rules.server_training,
        ("synthetic.use",),
        "true, with global_model_train, is synthetic.use = local and server; else it is left out",
    ),
    LegacyKey("feda2v", "global_model_train_from_nodes_audio_embeddings", rules.drop, (), _NEVER_SYNTHETIC),
    LegacyKey("feda2v", "global_model_train_inputs", rules.drop, (), _LEGACY),
)

EMBEDDINGS = (
    LegacyKey(
        "feda2v",
        "audio_model_name",
        rules.encoder,
        ("embedding.encoder",),
        "a model of Hugging Face needs the extra [hf]",
        legacy_default="MIT/ast-finetuned-audioset-10-10-0.4593",
    ),
    LegacyKey(
        "feda2v",
        "use_cls_token_only",
        rules.cls_token,
        ("embedding.tokens",),
        "true is one token, pooled, where there is no generator_training_sequence_length",
    ),
    LegacyKey("feda2v", "store_audio_embeddings", rules.drop, (), _CACHE),
    LegacyKey("feda2v", "audio_embedding_file_name", rules.drop, (), _CACHE),
)

IMAGES = tuple(
    LegacyKey("feda2v", name, rules.drop, (), _IMAGES)
    for name in (
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
    )
)

LEFT_OVERS = (
    *(
        LegacyKey("feda2v", name, rules.drop, (), _SPLITS)
        for name in (
            "generation_split_for_metrics",
            "nodes_test_metrics_splits",
            "nodes_train_metrics_splits",
            "server_test_metrics_splits",
            "server_train_metrics_splits",
        )
    ),
    *(
        LegacyKey("feda2v", name, rules.drop, (), _LEGACY)
        for name in (
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
        )
    ),
    *(LegacyKey("feda2v", name, rules.drop, (), _TRACKING) for name in ("project", "entity", "wandb_mode")),
    LegacyKey("wandb", "disabled", rules.drop, (), _TRACKING),
)

NODES = (
    LegacyKey(
        "nodes",
        "dataset",
        rules.decide,
        ("data.root", "nodes.root"),
        "ESC50 is what --data-root gives; another data set gets a root that has to be made first, see the warning",
    ),
    LegacyKey(
        "nodes",
        "selected_classes",
        rules.decide,
        ("nodes.classes",),
        "names in lower case with underscores, numbers by the label table; none means all classes of the data set",
    ),
    LegacyKey("nodes", "excluded_classes", rules.decide, ("nodes.classes",), "taken out of the classes"),
    LegacyKey("nodes", "generator_granularity", nodes.node_granularity, ("nodes.granularity",)),
    LegacyKey("nodes", "generator_train_classes", nodes.train_classes, ("nodes.train_classes",)),
    LegacyKey("nodes", "generator_class_group", nodes.node_group, ("nodes.group",), "with granularity per_group"),
    LegacyKey("nodes", "clip_adapter_learning_rate", rules.carry, ("nodes.clip_learning_rate",)),
    LegacyKey("nodes", "t5_adapter_learning_rate", rules.carry, ("nodes.t5_learning_rate",)),
    LegacyKey("nodes", "clip_adapter_weight_decay", rules.drop, (), "adapter.weight_decay is one for all nodes"),
    LegacyKey("nodes", "t5_adapter_weight_decay", rules.drop, (), "adapter.weight_decay is one for all nodes"),
    LegacyKey("nodes", "train_folds", rules.decide, ("data.train_folds",), "folds 0 to 4 become 1 to 5", _BY_RATIO),
    LegacyKey("nodes", "test_folds", rules.decide, ("data.test_folds",), "folds 0 to 4 become 1 to 5", _BY_RATIO),
    LegacyKey("nodes", "val_folds", rules.drop, (), "nothing is chosen by validation: folds train or test"),
    LegacyKey("nodes", "use_folds", rules.drop, (), "folds always count; with false, the nodes' own are left out"),
    LegacyKey("nodes", "diffusion_type", rules.diffusion, ("adapter.spaces",), _TARGETS),
    LegacyKey(
        "nodes",
        "use_cls_token_only",
        rules.drop,
        (),
        "all nodes have embeddings of one form: feda2v.use_cls_token_only",
    ),
    LegacyKey("nodes", "adapter_dropout", rules.drop, (), "it had no effect"),
    *(LegacyKey("nodes", name, rules.drop, (), _RATIOS) for name in ("train_ratio", "val_ratio", "test_ratio")),
    *(
        LegacyKey("nodes", name, rules.drop, (), _BLOCKS)
        for name in (
            "num_samples_per_class",
            "num_samples",
            "node_split_id",
            "samples_per_node",
            "node_split_seed",
            "num_nodes",
            "limit_samples",
        )
    ),
    LegacyKey("nodes", "use_official_split", rules.drop, (), "VGGSound alone had it"),
    *(
        LegacyKey("nodes", name, rules.drop, (), _FIXED_DATA)
        for name in (
            "stratify",
            "dataset_split",
            "pretext_tasks",
            "task_type",
            "class_labels",
            "class_remapping",
            "balance_classes",
        )
    ),
)

#: Sections of other algorithms, whatever keys they hold.
FOREIGN_SECTIONS = {
    "rewind": "it belongs to another algorithm",
    "fedgfe": "it belongs to another algorithm",
}

TABLE: tuple[LegacyKey, ...] = (
    *EXPERIMENT,
    *FEDERATION,
    *AGGREGATION,
    *ADAPTERS,
    *TRAINING,
    *MODEL,
    *DATASET,
    *MODES,
    *GENERATORS,
    *EMBEDDINGS,
    *SYNTHETIC,
    *IMAGES,
    *LEFT_OVERS,
    *NODES,
)

SECTIONS = tuple(dict.fromkeys(key.section for key in TABLE))
