"""The mapping table: every key of the earlier system, in the order in which its keys take precedence.

It is the only source of what becomes of a key: the converter, its report and docs/convert-config.md are made from it.
"""

from feda2v_cli.legacy.config import generators, nodes, rules
from feda2v_cli.legacy.config.legacy_key import LegacyKey, Stage

_LEGACY = "a left-over: no run of the earlier system read it"
_OTHER_MODEL = "the model of other algorithms: FedA2V did not read it"
_FIXED_DATA = "FedA2V did not read it"
_OF_TRAINING = "losses of training are told every round"
_ONE_MEASURE = "nodes and server are measured on the same clips, data.evaluate_on"
_CACHE = "embeddings are always kept, in embedding.cache"
_ONE_OPTIMISER = "AdamW trains everything"
_MODES = "decides which run the profile is for"
_OWN_WEIGHTS = "every generator has weights of its own"
_DISTILLS = "what distils is AdamW with the adapters' learning rates"
_NEVER_SYNTHETIC = "synthetic samples take the place of nodes' embeddings on the server"
_OWN_RATES = "the adapters had learning rates of their own, or 0.0001 for clip and 0.001 for t5, whatever it said"
_OWN_DECAYS = "the adapters had weight decays of their own, or 0.0001 for clip and 0.001 for t5, whatever it said"
_TARGETS = (
    "adapter.shapes and adapter.targets go together: with the earlier system's dictionary of text embeddings, write "
    'its path into adapter.targets and shapes = "flux" or "sd"; sd has no target space t5'
)
_BOTH_TRUE = "true, with global_model_train, is synthetic.use = local and server; else it is left out"
_SCHEDULE = (
    "true is cosine, over the rounds and without restarts; false is constant; adapter.schedule where both are the same"
)
_RATIO = "in data where all nodes agree; ESC-50 with folds goes by its folds"
_BLOCK = "VEGAS alone had blocks: disjoint parts of each class"
#: What keys of these kinds are about.
_ADAPTERS: tuple[Stage, ...] = ("run_2", "adapter_training")
_TRAINED: tuple[Stage, ...] = ("generators", "generator_training")
_SERVER: tuple[Stage, ...] = ("run_2", "adapter_training", "generators", "server_training")
_PICTURES: tuple[Stage, ...] = ("run_2", "images")

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
        "experiment", "seed", rules.seed, ("experiment.seed",), "-1, no seed, and none, is left out: then it is 0"
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
    LegacyKey(
        "federation", "algorithm", rules.drop, (), "there is one algorithm, FedA2V: another one's file is refused"
    ),
    LegacyKey("federation", "num_clients", rules.node_count, (), "the entries under nodes were what counted"),
    LegacyKey(
        "federation",
        "global_rounds",
        rules.rounds,
        ("generator.rounds", "federation.rounds"),
        "the first in a configuration for RUN 1, the second in one for RUN 2; none where adapters are loaded",
        legacy_default=100,
    ),
    LegacyKey(
        "federation",
        "local_epochs",
        rules.carry,
        ("federation.local_epochs",),
        "of the adapters",
        _ADAPTERS,
        legacy_default=1,
    ),
    LegacyKey(
        "federation",
        "join_ratio",
        rules.drop,
        (),
        "all nodes took part in every round, whatever it said; federation.fraction would choose some",
        _ADAPTERS,
    ),
    LegacyKey(
        "federation",
        "eval_gap",
        rules.carry,
        ("federation.evaluate_every",),
        "with feda2v.train_adapters; without, the earlier system evaluated nothing",
        (*_ADAPTERS, "evaluation"),
        legacy_default=1,
    ),
    LegacyKey("federation", "use_saved_audio_embeddings", rules.drop, (), _CACHE),
    LegacyKey("federation", "generate_images_frequency", rules.drop, (), _LEGACY),
)

#: What stands in both sections, or gives way to a key of the section feda2v.
AGGREGATION = (
    LegacyKey(
        "feda2v",
        "adapter_aggregation_mode",
        rules.strategy,
        ("federation.strategy", "federation.weighting"),
        "avg is fedavg with weighting equal; weighted_avg and weighted_average are fedavg by clips; kd also becomes "
        "synthetic.use = kd",
        _ADAPTERS,
        legacy_default="none",
    ),
    LegacyKey(
        "feda2v",
        "adapter_aggregation_method",
        rules.aggregation_method,
        (),
        "no code read it: adapter_aggregation_mode was what counted",
        _ADAPTERS,
    ),
    LegacyKey(
        "federation",
        "model_aggregation",
        rules.aggregation,
        ("federation.strategy", "federation.weighting"),
        "used where no key of the section feda2v says how adapters are aggregated",
        _ADAPTERS,
    ),
    LegacyKey("federation", "diffusion_type", rules.diffusion, ("adapter.spaces",), _TARGETS, ("run_2",)),
    LegacyKey("feda2v", "diffusion_type", rules.diffusion, ("adapter.spaces",), _TARGETS, ("run_2",)),
)

ADAPTERS = (
    LegacyKey(
        "feda2v",
        "clip_adapter_learning_rate",
        rules.carry,
        ("adapter.clip_learning_rate",),
        stages=_ADAPTERS,
        legacy_default=0.0001,
    ),
    LegacyKey(
        "feda2v",
        "t5_adapter_learning_rate",
        rules.carry,
        ("adapter.t5_learning_rate",),
        stages=_ADAPTERS,
        legacy_default=0.001,
    ),
    LegacyKey("feda2v", "adapters_learning_rate", rules.drop, (), _OWN_RATES, _ADAPTERS),
    LegacyKey(
        "feda2v",
        "clip_adapter_weight_decay",
        rules.carry,
        ("adapter.clip_weight_decay",),
        "adapter.weight_decay where both are the same",
        _ADAPTERS,
        legacy_default=0.0001,
    ),
    LegacyKey(
        "feda2v",
        "t5_adapter_weight_decay",
        rules.carry,
        ("adapter.t5_weight_decay",),
        "adapter.weight_decay where both are the same",
        _ADAPTERS,
        legacy_default=0.001,
    ),
    LegacyKey("feda2v", "adapters_weight_decay", rules.drop, (), _OWN_DECAYS, _ADAPTERS),
    LegacyKey("training", "weight_decay", rules.drop, (), _OWN_DECAYS),
    LegacyKey(
        "feda2v",
        "clip_adapter_learning_rate_schedule",
        rules.schedule,
        ("adapter.clip_schedule",),
        _SCHEDULE,
        _ADAPTERS,
        legacy_default="constant",
    ),
    LegacyKey(
        "feda2v",
        "t5_adapter_learning_rate_schedule",
        rules.schedule,
        ("adapter.t5_schedule",),
        _SCHEDULE,
        _ADAPTERS,
        legacy_default="constant",
    ),
    LegacyKey("feda2v", "adapters_learning_rate_schedule", rules.drop, (), _LEGACY, _ADAPTERS),
    LegacyKey(
        "feda2v",
        "optimizer_clip_gradients",
        rules.drop,
        (),
        "gradients are always clipped, to norm 1 unless adapter.clip_norm says otherwise",
        _ADAPTERS,
    ),
    LegacyKey(
        "feda2v",
        "train_adapters",
        rules.switch,
        (),
        "whether eval_gap counts; adapters were trained without it too",
        _ADAPTERS,
    ),
    LegacyKey("feda2v", "text_losses_summed", rules.drop, (), _LEGACY),
    LegacyKey(
        "feda2v",
        "adapter_checkpoint_dir",
        rules.adapter_directory,
        ("checkpoint.adapter_dir", "checkpoint.load_adapters"),
        "the second with adapter_load_checkpoint",
        ("run_2", "adapter_files"),
    ),
    LegacyKey(
        "feda2v",
        "adapter_checkpoint_base_name",
        generators.base_name,
        ("checkpoint.adapter_base_name",),
        stages=("run_2", "adapter_files"),
    ),
    LegacyKey(
        "feda2v",
        "adapter_save_checkpoint",
        rules.saved_adapters,
        ("checkpoint.save_adapters",),
        "where it is not written adapters are saved",
        _ADAPTERS,
    ),
    LegacyKey(
        "feda2v",
        "adapter_load_checkpoint",
        rules.switch,
        ("checkpoint.load_adapters", "federation.rounds"),
        "true: they are evaluated and not trained, as before: federation.rounds = 0",
        ("run_2",),
    ),
    LegacyKey(
        "feda2v",
        "adapter_checkpoint_frequency",
        rules.drop,
        (),
        "adapters are saved at the end; a run that is interrupted goes on with --resume",
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
        rules.carry,
        ("adapter.batch_size",),
        "generators took one clip at a time, whatever it said: generator.batch_size",
        _ADAPTERS,
        legacy_default=10,
    ),
    LegacyKey("training", "momentum", rules.drop, (), _ONE_OPTIMISER),
    LegacyKey("training", "learning_rate_schedule", rules.drop, (), _FIXED_DATA),
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
        rules.drop,
        (),
        "paths of data sets were fixed in the code: roots come from each node's data set, or --data-root",
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
        "vae alone: there are no gan and diffusion generators",
        ("generators",),
    ),
    LegacyKey(
        "feda2v",
        "use_conditioned_vae",
        rules.drop,
        (),
        "a vae of several classes is always conditional on the class, so that every sample has a label",
        ("generators",),
    ),
    LegacyKey(
        "feda2v",
        "generator_granularity",
        generators.granularity,
        ("generator.granularity",),
        "unified becomes auto in a configuration for RUN 2 with the file names of unified: RUN 2 reads the granularity "
        "from the checkpoints, and no key has to be edited when another was trained; per_class and per_group there "
        "also become synthetic.match = class, for generators were found by their classes",
        ("generators",),
    ),
    LegacyKey(
        "feda2v",
        "generator_class_groups",
        generators.groups,
        ("generator.groups",),
        "names in lower case with underscores; classes in no group form the group other, as before",
        ("generators",),
    ),
    LegacyKey(
        "feda2v",
        "generator_checkpoint_path",
        rules.checkpoint_path,
        ("checkpoint.dir", "checkpoint.base_name"),
        "directory and base name in one; it beats the two keys",
        ("generators",),
    ),
    LegacyKey(
        "feda2v",
        "generator_checkpoint_dir",
        rules.carry,
        ("checkpoint.dir",),
        "not written when it is where the granularity's checkpoints lie anyway",
        ("generators",),
    ),
    LegacyKey(
        "feda2v",
        "generator_checkpoint_base_name",
        generators.base_name,
        ("checkpoint.base_name",),
        "not written when it is the granularity's own",
        ("generators",),
    ),
    LegacyKey(
        "feda2v",
        "pretrained_generator_path",
        rules.drop,
        (),
        "no code read it: generator_checkpoint_dir and generator_checkpoint_base_name were what counted",
    ),
    LegacyKey("feda2v", "generator_save_checkpoint", rules.drop, (), "generators are always saved, as before"),
    LegacyKey(
        "feda2v",
        "generator_checkpoint_frequency",
        rules.carry,
        ("checkpoint.every",),
        "nodes saved every 5 rounds whatever it said, and every round in only-mode",
        _TRAINED,
    ),
    LegacyKey("feda2v", "generator_training_epochs", rules.carry, ("generator.epochs",), "epochs a round", _TRAINED),
    LegacyKey(
        "feda2v",
        "generator_augmentation",
        rules.augmentation,
        ("generator.noise",),
        "false is no noise; true is generator_augmentation_noise, and without one there is none",
        _TRAINED,
    ),
    LegacyKey(
        "feda2v",
        "generator_augmentation_noise",
        rules.augmentation,
        ("generator.noise",),
        "with generator_augmentation; the unit was that of embeddings, now it is their standard deviation",
        _TRAINED,
    ),
    LegacyKey(
        "feda2v", "generator_validation_frequency", rules.drop, (), "feda2v evaluate measures samples, with floors"
    ),
    LegacyKey(
        "feda2v",
        "generator_training_sequence_length",
        rules.decide,
        ("embedding.tokens",),
        "1214 is all tokens of AST; adapters saw all of them, so that none where adapters are trained is all too",
        ("generators",),
    ),
    LegacyKey("feda2v", "generator_output_sequence_length", rules.drop, (), "samples have embedding.tokens tokens"),
    LegacyKey("feda2v", "generator_target_sequence_length", rules.drop, (), "samples have embedding.tokens tokens"),
    LegacyKey("feda2v", "use_learned_upsampling", rules.drop, (), "samples have embedding.tokens tokens"),
    LegacyKey("feda2v", "use_stratified_batching", rules.drop, (), _LEGACY),
    LegacyKey("feda2v", "beta_warmup_ratio", rules.drop, (), "no code read it; generator.kl_warmup_share would be it"),
    LegacyKey("feda2v", "reset_generator_on_class_change", rules.drop, (), _OWN_WEIGHTS),
    LegacyKey("feda2v", "shared_generator_in_only_mode", rules.drop, (), _OWN_WEIGHTS),
)

SYNTHETIC = (
    LegacyKey(
        "feda2v",
        "synthetic_samples_per_class",
        rules.synthetic_count,
        ("synthetic.per_class",),
        "none without generators",
        (*_ADAPTERS, "generators"),
        legacy_default="auto",
    ),
    LegacyKey(
        "feda2v",
        "kd_samples_per_class",
        rules.carry,
        ("synthetic.per_class",),
        "with adapter_aggregation_mode kd, where there is no synthetic_samples_per_class",
        (*_ADAPTERS, "kd"),
    ),
    LegacyKey(
        "feda2v",
        "kd_training_epochs",
        rules.carry,
        ("federation.server_epochs",),
        "with adapter_aggregation_mode kd",
        (*_ADAPTERS, "kd"),
        legacy_default=10,
    ),
    LegacyKey("feda2v", "kd_learning_rate", rules.drop, (), _DISTILLS, (*_ADAPTERS, "kd")),
    LegacyKey("feda2v", "compute_global_mean_from_class_means", rules.drop, (), _NEVER_SYNTHETIC),
    LegacyKey(
        "feda2v",
        "global_model_train",
        rules.switch,
        ("synthetic.use",),
        "whether the next keys count",
        ("run_2", "adapter_training", "generators"),
    ),
    LegacyKey(
        "feda2v",
        "global_model_train_epochs",
        rules.carry,
        ("federation.server_epochs",),
        "with global_model_train, without adapter_aggregation_mode kd",
        _SERVER,
        legacy_default=1,
    ),
    LegacyKey(
        "feda2v",
        "global_model_train_from_nodes_adapters",
        rules.server_training,
        ("synthetic.use",),
        _BOTH_TRUE,
        _SERVER,
    ),
    LegacyKey(
        "feda2v", "global_model_train_from_generator", rules.server_training, ("synthetic.use",), _BOTH_TRUE, _SERVER
    ),
    LegacyKey("feda2v", "global_model_train_from_nodes_audio_embeddings", rules.drop, (), _NEVER_SYNTHETIC),
    LegacyKey("feda2v", "global_model_train_inputs", rules.drop, (), _LEGACY),
)

EMBEDDINGS = (
    LegacyKey(
        "feda2v",
        "audio_model_name",
        rules.decide,
        ("embedding.encoder",),
        "it was AST whatever it said: the extra [hf], and its weights; where it is not written, AST is what a file "
        "means that asks for 1,214 tokens or the class token, or trains adapters without a length",
    ),
    LegacyKey(
        "feda2v", "use_cls_token_only", rules.switch, ("embedding.tokens",), "true is the class token, cls", ("run_2",)
    ),
    LegacyKey("feda2v", "store_audio_embeddings", rules.drop, (), _CACHE),
    LegacyKey("feda2v", "audio_embedding_file_name", rules.drop, (), _CACHE),
)

IMAGES = (
    LegacyKey("feda2v", "image_model_name", rules.drop, (), _LEGACY),
    LegacyKey(
        "feda2v",
        "img_pipe_name",
        rules.decide,
        ("images.pipeline",),
        "with sd; FLUX took black-forest-labs/FLUX.1-schnell with one step, whatever it said",
        _PICTURES,
    ),
    LegacyKey("feda2v", "img_lcm_lora_id", rules.drop, (), _LEGACY),
    LegacyKey("feda2v", "audio_pipe_name", rules.drop, (), _LEGACY),
    LegacyKey(
        "feda2v",
        "generate_nodes_images_frequency",
        rules.decide,
        ("images.every", "images.nodes"),
        "0 is none; the smaller one of both where they differ; the targets are those of the pipeline then",
        _PICTURES,
    ),
    LegacyKey(
        "feda2v",
        "generate_global_images_frequency",
        rules.decide,
        ("images.every", "images.server"),
        "0 is none; the smaller one of both where they differ; the targets are those of the pipeline then",
        _PICTURES,
    ),
    LegacyKey(
        "feda2v",
        "generate_low_memomy_footprint",
        rules.switch,
        ("images.dtype",),
        "true is bfloat16, else it was float32",
        _PICTURES,
    ),
    *(
        LegacyKey(
            "feda2v",
            name,
            rules.drop,
            (),
            "pictures of the true targets always stand beside the adapters' own",
            _PICTURES,
        )
        for name in ("generate_from_clip_text_embeddings", "generate_from_t5_text_embeddings")
    ),
    LegacyKey("feda2v", "generate_global_images_average_text_embeddings", rules.drop, (), _LEGACY),
    *(
        LegacyKey("feda2v", name, rules.drop, (), "pictures go into the directory of the run", _PICTURES)
        for name in ("images_output_dir", "output_image_base_name")
    ),
    LegacyKey(
        "feda2v",
        "save_generated_images_splits",
        rules.decide,
        ("images.splits",),
        "of images.per_class clips of a class, where it was all clips",
        _PICTURES,
    ),
    *(
        LegacyKey("feda2v", name, rules.drop, (), "feda2v images makes pictures of saved adapters")
        for name in ("generate_embeddings_only", "embeddings_checkpoint_dir")
    ),
    *(
        LegacyKey("feda2v", name, rules.drop, (), _LEGACY)
        for name in ("save_embeddings_instead_of_images", "embeddings_save_frequency")
    ),
)

LEFT_OVERS = (
    *(
        LegacyKey("feda2v", name, rules.drop, (), why)
        for name, why in (
            ("generation_split_for_metrics", _LEGACY),
            ("nodes_train_metrics_splits", _OF_TRAINING),
            ("server_test_metrics_splits", _ONE_MEASURE),
            ("server_train_metrics_splits", _OF_TRAINING),
        )
    ),
    LegacyKey(
        "feda2v",
        "nodes_test_metrics_splits",
        rules.decide,
        ("data.evaluate_on",),
        "where clips are held apart for validation; val and test where it is not written",
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
    LegacyKey("feda2v", "project", rules.carry, ("tracking.project",), "of W&B", ("tracking",)),
    LegacyKey("feda2v", "entity", rules.carry, ("tracking.entity",), "of W&B", ("tracking",)),
    LegacyKey(
        "feda2v", "wandb_mode", rules.tracking_mode, ("tracking.mode",), "of W&B; disabled is none", ("tracking",)
    ),
    LegacyKey(
        "wandb",
        "disabled",
        rules.tracking,
        ("tracking.trackers",),
        "false is wandb, with the extra [wandb]; where it is not written nothing is tracked",
    ),
)

NODES = (
    LegacyKey(
        "nodes",
        "dataset",
        rules.decide,
        ("data.dataset", "data.root", "nodes.dataset", "nodes.root"),
        "ESC50 alone is what --data-root gives; VEGAS and VGGSound have their layout, and data/VEGAS and data/VGGSound "
        "as roots: in data where all nodes have one data set",
    ),
    LegacyKey(
        "nodes",
        "selected_classes",
        rules.decide,
        ("nodes.classes",),
        "names in lower case with underscores, numbers by the label table; none means all classes of the data set",
    ),
    LegacyKey("nodes", "excluded_classes", rules.decide, ("nodes.classes",), "taken out of the classes"),
    LegacyKey("nodes", "generator_granularity", nodes.node_granularity, ("nodes.granularity",), stages=("generators",)),
    LegacyKey(
        "nodes", "generator_train_classes", nodes.train_classes, ("nodes.train_classes",), stages=("generators",)
    ),
    LegacyKey(
        "nodes",
        "generator_class_group",
        nodes.node_group,
        ("nodes.group",),
        "with granularity per_group",
        ("generators",),
    ),
    *(
        LegacyKey(
            "nodes", f"{space}_adapter_learning_rate", rules.carry, (f"nodes.{space}_learning_rate",), stages=_ADAPTERS
        )
        for space in ("clip", "t5")
    ),
    *(
        LegacyKey(
            "nodes",
            f"{space}_adapter_weight_decay",
            rules.node_weight_decay,
            (f"adapter.{space}_weight_decay",),
            "one for all nodes: left out where theirs differ",
            _ADAPTERS,
        )
        for space in ("clip", "t5")
    ),
    *(
        LegacyKey(
            "nodes",
            name,
            rules.decide,
            (f"data.{name}",),
            "of ESC-50 alone, which was split by ratio whatever they were; folds 0 to 4 become 1 to 5",
        )
        for name in ("train_folds", "val_folds", "test_folds")
    ),
    LegacyKey("nodes", "use_folds", rules.decide, (), "with false, the node's folds are left out"),
    LegacyKey("nodes", "diffusion_type", rules.diffusion, ("adapter.spaces",), _TARGETS, ("run_2",)),
    LegacyKey(
        "nodes",
        "use_cls_token_only",
        rules.switch,
        ("nodes.tokens",),
        "where it differs from feda2v.use_cls_token_only",
        ("run_2",),
    ),
    LegacyKey("nodes", "adapter_dropout", rules.drop, (), "it had no effect"),
    *(
        LegacyKey("nodes", name, rules.decide, (f"data.{name}", f"nodes.{name}"), _RATIO)
        for name in ("train_ratio", "val_ratio")
    ),
    LegacyKey(
        "nodes",
        "test_ratio",
        rules.decide,
        ("data.test_ratio", "nodes.test_ratio"),
        "of VGGSound; elsewhere it is what the others leave",
    ),
    *(
        LegacyKey(
            "nodes",
            name,
            rules.decide,
            ("data.clips_per_class", "nodes.clips_per_class"),
            "of VEGAS and VGGSound without blocks; 0 is all",
        )
        for name in ("num_samples_per_class", "num_samples")
    ),
    *(
        LegacyKey("nodes", name, rules.decide, ("nodes.block",), _BLOCK)
        for name in ("node_split_id", "samples_per_node", "node_split_seed")
    ),
    LegacyKey("nodes", "use_official_split", rules.decide, ("data.split", "nodes.split"), "of VGGSound"),
    *(
        LegacyKey("nodes", name, rules.drop, (), _FIXED_DATA)
        for name in (
            "num_nodes",
            "limit_samples",
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
