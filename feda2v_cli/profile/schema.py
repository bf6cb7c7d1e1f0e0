"""What a run is to do: the sections of a profile, their keys, types and defaults, and which names may stand in them."""

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    StringConstraints,
)

from feda2v_cli.paths import as_text
from feda2v_cli.profile.generator_names import BASE_NAMES, GENERATOR_DIRS, GeneratorTypeName, Granularity

CLASS_NAME_PATTERN = r"^[a-z0-9]+(_[a-z0-9]+)*$"
BASE_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
#: A file name is made of a base name, a node, a class or group and a round, and may have 255 bytes.
LONGEST_NAME = 64
MEMORY_PATTERN = r"^(auto|[0-9]{1,9}(\.[0-9]{1,9})?\s*[KMGT]i?B)$"
#: Bounds that nothing sensible comes near; what is beyond them overflows a format or fills any memory.
LARGEST_SEED = 2**63 - 1
LARGEST_ID = 2**31 - 1
LARGEST_COUNT = 1_000_000
LARGEST_WIDTH = 65_536
LARGEST_FLOAT = 1e30


def as_class_name(text: str) -> str | None:
    """The class name that is closest to a text; None when nothing of it can stay.

    >>> as_class_name("Sea Waves")
    'sea_waves'
    """
    name = re.sub(r"[^a-z0-9]+", "_", _ascii(text).lower()).strip("_")
    return name[:LONGEST_NAME].rstrip("_") or None


def as_base_name(text: str) -> str | None:
    """The first part of a file name that is closest to a text; None when nothing of it can stay.

    >>> as_base_name("my run!")
    'my_run'
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", _ascii(text)).strip("_-")
    return name[:LONGEST_NAME] or None


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


T = TypeVar("T")

#: Where the class stands in `adapter.prompt`.
CLASS_FIELD = "{class}"


def _with_class(prompt: str) -> str:
    if CLASS_FIELD not in prompt:
        raise ValueError(f"expected {CLASS_FIELD} where the name of the class stands")
    return prompt


def _unique(values: tuple[T, ...]) -> tuple[T, ...]:
    repeated = sorted({str(value) for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"named twice: {', '.join(repeated)}")
    return values


def _text(path: Path) -> Path:
    """A path that can stand in a profile, which is text in UTF-8."""
    text = as_text(path)
    if text is None:
        raise ValueError("not UTF-8, which a profile is; rename it, or name a link to it")
    if "\0" in text:
        raise ValueError("holds a character that no path can have")
    return path


UserPath = Annotated[Path, AfterValidator(_text)]
#: A class, or a group of classes. It becomes a part of file names.
ClassName = Annotated[StrictStr, StringConstraints(pattern=CLASS_NAME_PATTERN, max_length=LONGEST_NAME)]
ClassNames = Annotated[tuple[ClassName, ...], Field(min_length=1), AfterValidator(_unique)]
BaseName = Annotated[StrictStr, StringConstraints(pattern=BASE_NAME_PATTERN, max_length=LONGEST_NAME)]
Fold = Annotated[StrictInt, Field(ge=1, le=LARGEST_ID)]
Folds = Annotated[tuple[Fold, ...], Field(min_length=1), AfterValidator(_unique)]
#: How the files of a data set lie.
DatasetName = Literal["builtin", "esc50", "esc50_folds", "vegas", "vggsound", "folder", "csv"]
#: What decides which clips train and which are held out.
SplitName = Literal["folds", "official", "ratio"]
#: What becomes of a clip.
PartName = Literal["train", "val", "test"]
PositiveInt = Annotated[StrictInt, Field(ge=1, le=LARGEST_COUNT)]
NonNegativeInt = Annotated[StrictInt, Field(ge=0, le=LARGEST_COUNT)]
Width = Annotated[StrictInt, Field(ge=1, le=LARGEST_WIDTH)]
#: So many tokens of an embedding, its class token, or all that the encoder gives.
Tokens = Width | Literal["cls", "all"]
PositiveFloat = Annotated[StrictFloat, Field(gt=0, le=LARGEST_FLOAT, allow_inf_nan=False)]
NonNegativeFloat = Annotated[StrictFloat, Field(ge=0, le=LARGEST_FLOAT, allow_inf_nan=False)]
Share = Annotated[StrictFloat, Field(ge=0, le=1)]
PositiveShare = Annotated[StrictFloat, Field(gt=0, le=1)]
#: Of learning rates, over the rounds.
Schedule = Literal["cosine", "constant"]
Seed = Annotated[StrictInt, Field(ge=0, le=LARGEST_SEED)]


class Section(BaseModel):
    """A table of a profile: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class ExperimentSection(Section):
    """Name, seed and machine."""

    name: BaseName = Field("run", description="names the run directory")
    seed: Seed = Field(0, description="same profile, seed, versions and kind of processor: same tensors")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="auto takes a GPU when there is one")
    memory: Annotated[StrictStr, StringConstraints(pattern=MEMORY_PATTERN)] = Field(
        "auto", description="what training may take, like 2GB; auto is most of what is free"
    )
    runs: UserPath = Field(Path("runs"), description="where run directories are made")


class DataSection(Section):
    """Which clips there are, and which of them train and test."""

    dataset: Literal["auto", DatasetName] = Field(
        "auto", description="layout of data.root; auto looks at the root, and is the built-in sounds without one"
    )
    root: UserPath | None = Field(None, description="directory of the data set; csv: or its manifest")
    split: Literal["auto", SplitName] = Field(
        "auto", description="what decides which clips train; auto: folds or the official split of the layout, or ratio"
    )
    train_folds: Folds = Field((1, 2, 3, 4), description="folds: those that train")
    val_folds: Annotated[tuple[Fold, ...], AfterValidator(_unique)] = Field((), description="folds: for validation")
    test_folds: Folds = Field((5,), description="folds: those held out for evaluation")
    train_ratio: PositiveShare = Field(0.8, description="ratio: share of each class that trains")
    val_ratio: Share = Field(0.0, description="ratio: share for validation")
    test_ratio: Share | None = Field(None, description="ratio: share held out; unset: what the others leave")
    split_seed: Seed = Field(0, description="ratio, clips_per_class: which clips; all runs need the same")
    clips_per_class: PositiveInt | None = Field(None, description="most clips of a class; unset: all")
    evaluate_on: Annotated[tuple[Literal["val", "test"], ...], Field(min_length=1), AfterValidator(_unique)] = Field(
        ("test",), description="clips that figures are measured on: test, val (kept out of training too)"
    )
    skip_unreadable: StrictBool = Field(False, description="leave unreadable clips out, counted and listed")

    def ratios(self, node: "NodeSection") -> dict[PartName, float]:
        """Share of a class that trains, is for validation, and is held out, of a node.

        >>> DataSection().ratios(NodeSection(id=0, classes=("dog",), train_ratio=0.7))
        {'train': 0.7, 'val': 0.0, 'test': 0.3}
        """
        train = self.train_ratio if node.train_ratio is None else node.train_ratio
        val = self.val_ratio if node.val_ratio is None else node.val_ratio
        test = self.test_ratio if node.test_ratio is None else node.test_ratio
        return {"train": train, "val": val, "test": max(0.0, round(1 - train - val, 12)) if test is None else test}


class EmbeddingSection(Section):
    """Clip to embedding."""

    encoder: StrictStr = Field("melstats", description="melstats, or the name or path of a Hugging Face audio model")
    tokens: Tokens = Field(
        4,
        description="of an embedding: so many, pooled over time; cls: the class token; all: as the model gives them",
    )
    sample_rate: Annotated[StrictInt, Field(ge=8000, le=192000)] = Field(16000, description="Hz, clips are resampled")
    seconds: Annotated[StrictFloat, Field(gt=0, le=3600)] = Field(5.0, description="seconds of a clip that are used")
    cache: UserPath = Field(Path("~/.cache/feda2v"), description="where embeddings are kept between runs")
    cache_dtype: Literal["float32", "float16", "bfloat16"] = Field(
        "float32", description="numbers that are kept; bfloat16 also computes in it where the processor is quicker so"
    )


class GeneratorSection(Section):
    """The generators of RUN 1; RUN 2 says here which it expects."""

    type: GeneratorTypeName = Field("vae", description="vae, or the closed-form baseline gaussian")
    granularity: Literal[Granularity, "auto"] = Field(
        "unified", description="how classes map to generators; auto (RUN 2) reads it from the checkpoints"
    )
    rounds: PositiveInt = Field(10, description="stretches of training between saves")
    epochs: PositiveInt = Field(20, description="epochs a round")
    batch_size: PositiveInt | None = Field(
        None, description="clips a step; unset: 16, and more where an epoch would take over 32 steps"
    )
    learning_rate: PositiveFloat = Field(5e-4, description="AdamW")
    weight_decay: NonNegativeFloat = Field(0.0, description="AdamW, of all parameters")
    clip_norm: PositiveFloat = Field(5.0, description="largest norm of a model's gradient")
    projection: Literal["pca", "none", "public"] = Field(
        "pca",
        description="pca: principal axes of the node's own clips; public: of clips that all may know (gaussian alone); "
        "none: the dense model on all tokens x dim",
    )
    public_root: UserPath | None = Field(
        None, description="public: directory of clips that all may know; unset: built-in sounds that no fold holds"
    )
    epsilon: PositiveFloat | None = Field(
        None, description="public: differential privacy of each clip, by noise on class means; unset: none is promised"
    )
    delta: Annotated[StrictFloat, Field(gt=0, lt=0.5)] = Field(1e-5, description="of epsilon")
    privacy_budget: PositiveFloat | None = Field(
        None, description="the largest epsilon that a clip may spend over all trainings that the ledger knows"
    )
    ledger: UserPath = Field(
        Path("~/.local/share/feda2v/privacy-ledger.json"),
        description="what clips of this machine have spent with epsilon; never shared",
    )
    rank: Width | Literal["auto"] = Field(
        "auto",
        description="most principal axes within classes; auto: as few as keep single clips from being told easily",
    )
    fewest_clips: PositiveInt = Field(8, description="a class of fewer clips is refused: its samples would tell them")
    explained_share: PositiveShare = Field(1.0, description="share of the variance that the kept axes explain")
    hidden: Width = Field(128, description="vae: width of the hidden layers")
    latent: Annotated[StrictInt, Field(ge=1, le=4096)] = Field(
        16, description="vae: latent units, and most directions whose shape is learned"
    )
    kl_warmup_share: Share = Field(0.0, description="vae: share of training over which the KL term warms up")
    free_bits: NonNegativeFloat = Field(
        0.0, description="vae: nats a latent unit may use at no cost, in the mean over a batch"
    )
    noise: NonNegativeFloat = Field(0.0, description="vae: noise added to the input, in standard deviations")
    shrinkage: Share = Field(0.0, description="share of the pooled covariance in each class's")
    groups: dict[ClassName, ClassNames] = Field(default_factory=dict, description="per_group: classes of each group")


class CheckpointSection(Section):
    """Where checkpoints lie and what they are called."""

    dir: UserPath | None = Field(None, description="generators; unset: chosen by the granularity")
    base_name: BaseName | None = Field(None, description="first part of file names; unset: chosen by the granularity")
    every: NonNegativeInt = Field(5, description="rounds between saves; 0 saves the end alone")
    round_counts: PositiveInt = Field(
        1, description="generators, and nodes, say how many clips of a class train them to the nearest multiple of this"
    )
    adapter_dir: UserPath = Field(Path("checkpoints/adapters"), description="adapters of RUN 2")
    adapter_base_name: BaseName = Field("adapter", description="first part of the adapters' file names")
    save_adapters: StrictBool = Field(True, description="keep the adapters of RUN 2; false: their figures alone")
    load_adapters: UserPath | None = Field(
        None,
        description="adapters that RUN 2 loads and evaluates, with federation.rounds = 0; unset: it trains its own",
    )


class SyntheticSection(Section):
    """Samples that stand in for the clips of other nodes (RUN 2)."""

    per_class: NonNegativeInt | Literal["auto"] = Field(
        10, description="samples a class; auto: as many as a node has clips a class; 0: none"
    )
    use: Annotated[tuple[Literal["local", "server", "kd"], ...], AfterValidator(_unique)] = Field(
        ("local",),
        description="local: in the nodes' training; server: after aggregation; kd: in distillation; one_shot: none",
    )
    match: Literal["node", "class"] = Field(
        "node",
        description="node: a node's generators are those of its id; class: any that make its classes, whoever trained",
    )
    refresh: Literal["once", "round"] = Field("round", description="samples are drawn once a run, or every round")
    max_epsilon: PositiveFloat | None = Field(
        None, description="only generators that promise their clips this epsilon, or a smaller one; unset: any"
    )


class AdapterSection(Section):
    """Adapters from audio embeddings to target spaces (RUN 2)."""

    spaces: (
        Annotated[tuple[Literal["clip", "t5", "text"], ...], Field(min_length=1), AfterValidator(_unique)] | None
    ) = Field(None, description="target spaces; unset: all that the targets have")
    targets: StrictStr = Field(
        "codes",
        description="codes (built in), pipeline (the text encoders of images.pipeline), the path of a dictionary file, "
        "or the directory or name of a text encoder",
    )
    shapes: Literal["small", "flux", "sd"] = Field(
        "small", description="codes: shapes of the target spaces; dictionary file: which of its entries"
    )
    prompt: Annotated[StrictStr, AfterValidator(_with_class)] = Field(
        "a photo of a {class}", description="what text encoders read; underscores of a class become blanks"
    )
    prompts: dict[ClassName, StrictStr] = Field(default_factory=dict, description="prompts of single classes")
    t5_tokens: Annotated[StrictInt, Field(ge=2, le=512)] = Field(
        17, description="tokens of a FLUX pipeline's target in the space t5"
    )
    hidden: Width = Field(64, description="width of the hidden layers")
    batch_size: PositiveInt = Field(16, description="clips and samples a step")
    clip_learning_rate: PositiveFloat = Field(1e-3, description="AdamW, target space clip")
    t5_learning_rate: PositiveFloat = Field(1e-3, description="AdamW, target space t5")
    text_learning_rate: PositiveFloat = Field(1e-3, description="AdamW, target space text")
    schedule: Schedule = Field("cosine", description="of the learning rates, over the rounds")
    clip_schedule: Schedule | None = Field(None, description="of the target space clip; unset: schedule")
    t5_schedule: Schedule | None = Field(None, description="of the target space t5; unset: schedule")
    weight_decay: NonNegativeFloat = Field(1e-4, description="AdamW")
    clip_weight_decay: NonNegativeFloat | None = Field(
        None, description="AdamW, target space clip; unset: weight_decay"
    )
    t5_weight_decay: NonNegativeFloat | None = Field(None, description="AdamW, target space t5; unset: weight_decay")
    noise: NonNegativeFloat = Field(1.0, description="noise added to the input, in standardised units")
    clip_norm: PositiveFloat = Field(1.0, description="largest norm of an adapter's gradient")

    def schedule_of(self, space: str) -> Schedule:
        """Schedule of the learning rate in a target space: its own, or that of all."""
        own: Mapping[str, Schedule | None] = {"clip": self.clip_schedule, "t5": self.t5_schedule}
        return own.get(space) or self.schedule

    def weight_decay_of(self, space: str) -> float:
        """Weight decay in a target space: its own, or that of all.

        >>> AdapterSection(clip_weight_decay=0.0).weight_decay_of("clip")
        0.0
        """
        own = {"clip": self.clip_weight_decay, "t5": self.t5_weight_decay}.get(space)
        return self.weight_decay if own is None else own

    def prompt_of(self, name: str) -> str:
        """What text encoders read for a class.

        >>> AdapterSection().prompt_of("sea_waves")
        'a photo of a sea waves'
        """
        return self.prompts.get(name) or self.prompt.replace(CLASS_FIELD, name.replace("_", " "))


class ImagesSection(Section):
    """Pictures of what clips sound like: painted by a diffusion pipeline, or found in a gallery."""

    pipeline: StrictStr | None = Field(
        None, description="directory or hub name of a FLUX.1 or Stable Diffusion 1.x pipeline of diffusers"
    )
    gallery: UserPath | None = Field(None, description="directory of pictures that are found, in place of painting any")
    every: NonNegativeInt = Field(0, description="rounds between pictures during RUN 2; 0: none")
    nodes: StrictBool = Field(False, description="pictures by the nodes' own adapters, of their own clips")
    server: StrictBool = Field(True, description="pictures by the server's adapters, of all nodes' clips")
    per_class: PositiveInt = Field(1, description="clips of a class that pictures are made of")
    splits: Annotated[tuple[PartName, ...], Field(min_length=1), AfterValidator(_unique)] = Field(
        ("test",), description="which clips: train, val, test (held out)"
    )
    steps: PositiveInt | None = Field(None, description="denoising steps; unset: the pipeline's own")
    guidance: NonNegativeFloat | None = Field(None, description="guidance scale; unset: the pipeline's own")
    size: PositiveInt | None = Field(None, description="pixels of a side; unset: the pipeline's own")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="numbers of the pipeline; auto: bfloat16 on a GPU, float32 elsewhere"
    )
    offload: StrictBool = Field(False, description="keep only the part of the pipeline on the GPU that computes")


class FederationSection(Section):
    """Exchange between nodes and server (RUN 2)."""

    engine: Literal["local", "flower"] = Field(
        "local", description="local: all nodes in this process; flower: each in a process or on a machine of its own"
    )
    strategy: Literal[
        "fedavg",
        "fedprox",
        "fedavgm",
        "fedadam",
        "fedyogi",
        "median",
        "trimmed_mean",
        "per_class_average",
        "kd",
        "one_shot",
        "none",
        "central",
    ] = Field("fedavg", description="how updates become the global adapters")
    weighting: Literal["clips", "equal"] = Field(
        "clips", description="what nodes count in an average: their clips, or all the same"
    )
    standardise: Literal["auto", "clips", "samples"] = Field(
        "auto",
        description="whose sums standardise embeddings: clips, of every node's; samples, of the generators', so that "
        "clips give none; auto: samples with one_shot and where synthetic.max_epsilon is set, clips elsewhere",
    )
    rounds: NonNegativeInt = Field(
        50, description="exchanges between nodes and server; 0: evaluate checkpoint.load_adapters"
    )
    local_epochs: PositiveInt = Field(3, description="epochs of a node in a round")
    evaluate_every: PositiveInt = Field(5, description="rounds between evaluations")
    fraction: PositiveShare = Field(1.0, description="share of the nodes that take part in a round")
    dropout: Share = Field(0.0, description="share of the chosen nodes that fail in a round (simulated)")
    quorum: PositiveInt = Field(1, description="fewest nodes that make a round count")
    deadline: PositiveFloat = Field(600.0, description="flower: seconds that nodes have for an answer")
    proximal: NonNegativeFloat = Field(0.01, description="fedprox: weight of the proximal term")
    server_learning_rate: PositiveFloat | None = Field(
        None, description="unset: 1 - server_momentum for fedavgm, 0.01 for fedadam and fedyogi"
    )
    server_momentum: Annotated[StrictFloat, Field(ge=0, lt=1)] = Field(0.9, description="fedavgm")
    trim: Annotated[StrictFloat, Field(ge=0, lt=0.5)] = Field(0.2, description="trimmed_mean: share cut at each end")
    server_epochs: PositiveInt = Field(
        3, description="kd, one_shot, and synthetic.use server: epochs on the server a round"
    )


class FlowerSection(Section):
    """Several machines (RUN 2, engine flower)."""

    server: StrictStr | None = Field(None, description="HOST:PORT of the server; unset: all on this machine")
    keys: UserPath | None = Field(None, description="directory of this machine's keys")
    share: Annotated[tuple[Literal["generators", "updates"], ...], Field(min_length=1), AfterValidator(_unique)] = (
        Field(("generators", "updates"), description="what a node gives: its generators, adapters that it has trained")
    )


class BlockSection(Section):
    """A part of each class of a node, cut out of the class in an order that the seed decides.

    Nodes that share a class have blocks that do not overlap.
    """

    size: PositiveInt | dict[ClassName, PositiveInt] = Field(description="clips of each class, or of each by name")
    id: Annotated[StrictInt, Field(ge=0, le=LARGEST_ID)] | None = Field(
        None, description="which block of this size, from 0; not with start"
    )
    start: NonNegativeInt | dict[ClassName, NonNegativeInt] | None = Field(
        None, description="clips of each class that lie before the block; not with id; unset: 0"
    )
    seed: Seed = Field(0, description="of the order; the same for all nodes that share a class")

    def bounds(self, name: str) -> tuple[int, int]:
        """Start and end of the block within a class.

        >>> BlockSection(size=20, id=2).bounds("dog")
        (40, 60)
        """
        size = self.size if isinstance(self.size, int) else self.size[name]
        start = self.start if isinstance(self.start, int) else (self.start or {}).get(name, 0)
        if self.id is not None:
            start = self.id * size
        return start, start + size


class TrackingSection(Section):
    """Services that draw the curves of runs."""

    trackers: Annotated[tuple[Literal["tensorboard", "wandb"], ...], AfterValidator(_unique)] = Field(
        (), description="which: tensorboard, wandb"
    )
    project: StrictStr = Field("feda2v", description="wandb: the project of its runs")
    entity: StrictStr | None = Field(None, description="wandb: the user or team; unset: that of the key")
    mode: Literal["auto", "online", "offline"] = Field(
        "auto", description="wandb: auto is online with a key, and offline without"
    )


class NodeSection(Section):
    """A holder of clips, and where it differs from the rest."""

    id: Annotated[StrictInt, Field(ge=0, le=LARGEST_ID)]
    classes: ClassNames
    train_classes: ClassNames | None = Field(None, description="generators only of these of its classes")
    granularity: Granularity | None = None
    group: ClassName | None = Field(None, description="per_group: all its classes form this group")
    tokens: Tokens | None = Field(None, description="of its embeddings; unset: embedding.tokens")
    learning_rate: PositiveFloat | None = Field(None, description="of its generators")
    clip_learning_rate: PositiveFloat | None = Field(None, description="of its adapter to clip")
    t5_learning_rate: PositiveFloat | None = Field(None, description="of its adapter to t5")
    text_learning_rate: PositiveFloat | None = Field(None, description="of its adapter to text")
    dataset: DatasetName | None = Field(None, description="layout of its root; unset: as of data.dataset")
    root: UserPath | None = Field(None, description="directory of its data set")
    split: SplitName | None = Field(None, description="as of data.split")
    train_ratio: PositiveShare | None = Field(None, description="as of data.train_ratio")
    val_ratio: Share | None = Field(None, description="as of data.val_ratio")
    test_ratio: Share | None = Field(None, description="as of data.test_ratio")
    clips_per_class: PositiveInt | None = Field(None, description="as of data.clips_per_class")
    block: BlockSection | None = Field(None, description="the part of each of its classes that it holds; unset: all")

    @property
    def generated_classes(self) -> tuple[str, ...]:
        """The classes that this node's generators can make."""
        return self.train_classes or self.classes


class Profile(Section):
    """All of a run.

    >>> Profile(nodes=({"id": 0, "classes": ("dog",)},)).generator.rounds
    10
    """

    experiment: ExperimentSection = ExperimentSection()
    data: DataSection = DataSection()
    embedding: EmbeddingSection = EmbeddingSection()
    generator: GeneratorSection = GeneratorSection()
    checkpoint: CheckpointSection = CheckpointSection()
    synthetic: SyntheticSection = SyntheticSection()
    adapter: AdapterSection = AdapterSection()
    federation: FederationSection = FederationSection()
    flower: FlowerSection = FlowerSection()
    images: ImagesSection = ImagesSection()
    tracking: TrackingSection = TrackingSection()
    nodes: Annotated[tuple[NodeSection, ...], Field(min_length=1)]

    @property
    def classes(self) -> tuple[str, ...]:
        """All classes of the federation, sorted."""
        return tuple(sorted({name for node in self.nodes for name in node.classes}))

    @property
    def base_name(self) -> str | None:
        """Base name of the generators' checkpoints; None when only the checkpoints can tell (granularity auto)."""
        if self.checkpoint.base_name is None and self.generator.granularity != "auto":
            return BASE_NAMES[self.generator.granularity]
        return self.checkpoint.base_name

    @property
    def generator_dir(self) -> Path | None:
        """Directory of the generators' checkpoints; None when it has to be found (granularity auto)."""
        if self.checkpoint.dir is None and self.generator.granularity != "auto":
            return GENERATOR_DIRS[self.generator.granularity]
        return self.checkpoint.dir

    def granularity_of(self, node: NodeSection) -> Literal["unified", "per_class", "per_group", "auto"]:
        """The granularity of a node's generators: its own, or the profile's."""
        return node.granularity or self.generator.granularity

    def tokens_of(self, node: NodeSection) -> Tokens:
        """Tokens of a node's embeddings: its own, or the profile's."""
        return self.embedding.tokens if node.tokens is None else node.tokens

    @property
    def nodes_that_differ(self) -> tuple[NodeSection, ...]:
        """The nodes whose embeddings have other tokens than those of the first."""
        return tuple(node for node in self.nodes if self.tokens_of(node) != self.tokens_of(self.nodes[0]))

    def with_nodes(self, ids: tuple[int, ...]) -> Self:
        """The same profile for some of its nodes alone."""
        return self.model_copy(update={"nodes": tuple(node for node in self.nodes if node.id in ids)})
