"""What `feda2v images` is going to do: by whose adapters, of which clips, made how; everything that can be refused."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feda2v_cli.checkpoint.metadata import AdapterMetadata
from feda2v_cli.data.clip import Clip
from feda2v_cli.data.nodes import clips_of_nodes, notes_on
from feda2v_cli.data.split import FOLDS_ALONE, data_of, with_keys
from feda2v_cli.embedding.encoder import Encoder, make_encoder, node_encoders
from feda2v_cli.embedding.hub import Fetching
from feda2v_cli.embedding.identity import differences, in_words, source_of
from feda2v_cli.embedding.target import CODES, PIPELINE, Targets, TextSources, make_targets
from feda2v_cli.errors import MissingError, UsageError
from feda2v_cli.federation.strategy.strategy import Owner
from feda2v_cli.image.clip_model import find_clip
from feda2v_cli.job.images.adapters import Adapters, load_adapters, node_holdings, same_targets
from feda2v_cli.job.images.maker import MakerPlan, plan_maker
from feda2v_cli.job.images.subjects import check_classes, choose_clips, clips_of_files, lacking
from feda2v_cli.job.images.wanted import Source
from feda2v_cli.job.machine import choose_device
from feda2v_cli.job.nodes import cache_directory, choose_nodes
from feda2v_cli.profile.load import LoadedProfile
from feda2v_cli.profile.schema import AdapterSection, EmbeddingSection, NodeSection, Profile
from feda2v_cli.verifier.finding import Finding, FindingsError


@dataclass(frozen=True)
class ImagesRequest:
    """What is asked for beside the profile.

    Attributes:
        adapters: a file or a directory; None for the profile's.
        classes: of the clips; empty for all.
        audio: files of the user's own, in place of the data's clips.
        source: pictures of what adapters make of clips, of the classes' true targets, or both.
        score: name or directory of a CLIP model that says whether pictures show their class.
        output: directory of the pictures; None for the run's.
        resume: make what is missing.
        force: overwrite; and paint with adapters that were trained on other targets than the pipeline takes.
        download: whether models that are not there are fetched.
    """

    adapters: Path | None = None
    classes: tuple[str, ...] = ()
    audio: tuple[Path, ...] = ()
    source: Source = "both"
    score: str | None = None
    output: Path | None = None
    resume: bool = False
    force: bool = False
    download: bool = False


@dataclass(frozen=True)
class ImagesPlan:
    """Pictures before they are made.

    Attributes:
        profile: of the run.
        adapters: whose pictures are made.
        encoders: what makes the embeddings of each node, by its id, and of the server, by None.
        targets: of all classes of the adapters; None when nobody can tell them.
        maker: paints or finds.
        chosen: clip, split, number and holders of what pictures are made of.
        clip_model: directory of the CLIP model that scores; None for none.
        source: of the pictures.
    """

    profile: Profile
    adapters: tuple[Adapters, ...]
    encoders: Mapping[Owner, Encoder]
    targets: Targets | None
    maker: MakerPlan
    chosen: tuple[tuple[Clip, str, int, tuple[int, ...]], ...]
    clip_model: Path | None
    source: Source

    @property
    def encoder(self) -> Encoder:
        """The server's."""
        return self.encoders[None]

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the adapters, in the order of the targets."""
        return self.adapters[0].metadata.classes


def plan_images(
    loaded: LoadedProfile,
    request: ImagesRequest,
    node_ids: Sequence[int] | None = None,
    *,
    tell: Callable[[str], None],
    warn: Callable[[str], None],
) -> ImagesPlan:
    """Plan pictures. Loads adapters and, for targets, text encoders; no pipeline.

    Args:
        loaded: the profile.
        request: what is asked for beside it.
        node_ids: nodes whose clips are taken; None for all.
        tell: is told what the user should know.
        warn: is told what may be wrong.

    Raises:
        MissingError: adapters, data, weights, a package or clips are not there.
        UsageError: what is asked for contradicts itself, or the pipeline takes no such embeddings.
        FindingsError: an adapter is not sound, or of another audio encoder.
        FailedError: a model cannot be used.
    """
    adapters = load_adapters(request.adapters, loaded.profile.checkpoint, loaded.profile.images)
    profile = choose_nodes(_as_trained(loaded, adapters), node_ids)
    device = choose_device(profile.experiment.device)
    fetching = Fetching(request.download, tell)
    sources = TextSources(profile.images.pipeline, cache_directory(profile), device, fetching)
    clip_model = None if request.score is None else find_clip(request.score, fetching)
    maker = plan_maker(profile.images, profile.adapter, sources, device)
    first = adapters[0]
    if request.source != "targets" or maker.pipeline is None:
        maker.check(first.shapes, f"the adapters of {first.path}")
    targets = _targets(profile, maker, sources, first, request, warn)
    encoders = node_encoders(make_encoder(profile.embedding, device), profile)
    for one in adapters:
        _check_encoder(one, encoders.get(one.metadata.node_id, encoders[None]))
    chosen = _chosen(profile, request, adapters, warn)
    return ImagesPlan(profile, adapters, encoders, targets, maker, tuple(chosen), clip_model, request.source)


def _targets(
    profile: Profile,
    maker: MakerPlan,
    sources: TextSources,
    adapters: Adapters,
    request: ImagesRequest,
    warn: Callable[[str], None],
) -> Targets | None:
    """The true targets of the adapters' classes; refuses adapters that were trained on others, unless forced."""
    section = profile.adapter
    pipeline = maker.pipeline
    if pipeline is not None:
        whole = pipeline.has("text_encoder") and (pipeline.kind == "sd" or pipeline.has("text_encoder_2"))
        if whole:
            section = section.model_copy(update={"targets": PIPELINE})
        elif section.targets in (CODES, PIPELINE):
            if request.source != "adapters":
                raise MissingError(
                    f"{pipeline.name} was saved without its text encoders, which make the true targets",
                    hint="--from adapters, or name a dictionary file: --targets targets.pt",
                )
            warn(
                f"{pipeline.name} has no text encoders: nothing tells whether the adapters were trained on its targets"
            )
            return None
    section = _prompts_of(adapters.metadata, section)
    # Shapes of what fits are the adapters' own; of T5's tokens the number is free, and theirs.
    tokens = {"t5_tokens": adapters.shapes["t5"][0]} if "t5" in adapters.shapes else {}
    section = section.model_copy(update={"spaces": None, **tokens})
    targets = make_targets(section, adapters.metadata.classes, sources)
    if same_targets(adapters, targets.spaces):
        return targets
    made = adapters.metadata.targets
    learned = made.get("name", "?") + (f" ({made['kind']})" if "kind" in made else "")
    problem = (
        f"the adapters of {adapters.path} were trained on other targets: on {learned}, and here targets are "
        f"{targets.identity.get('name')}"
    )
    if request.source == "targets":
        return targets
    if not request.force:
        raise UsageError(
            problem,
            ["their outputs mean nothing here: pictures would show what nobody asked for"],
            hint="train with these targets: feda2v federate --set adapter.targets=pipeline --set images.pipeline=DIR; "
            "or --force makes the pictures nevertheless",
        )
    warn(f"{problem}; --force: these pictures do not show what adapters have learned")
    return targets


def _prompts_of(metadata: AdapterMetadata, section: AdapterSection) -> AdapterSection:
    """The prompts that the targets were made from, where the checkpoint tells."""
    if "prompt" not in metadata.targets:
        return section
    prompts = json.loads(metadata.targets.get("prompts", "{}"))
    return section.model_copy(update={"prompt": metadata.targets["prompt"], "prompts": prompts})


def _check_encoder(adapters: Adapters, encoder: Encoder) -> None:
    there = adapters.metadata.encoder
    differing = differences(there, encoder.identity)
    if differing:
        message = (
            f"was trained on embeddings of encoder {in_words(there, differing)}; embedding.encoder = {encoder.source} "
            f"is {in_words(encoder.identity, differing)}"
        )
        hint = "--set embedding.encoder=DIR names the one that it was trained with"
        raise FindingsError([Finding("FA007", str(adapters.path), message, hint=hint)])


def _chosen(
    profile: Profile, request: ImagesRequest, adapters: Sequence[Adapters], warn: Callable[[str], None]
) -> list[tuple[Clip, str, int, tuple[int, ...]]]:
    if request.audio:
        return clips_of_files(request.audio)
    trained_on = {name for one in adapters for name in one.metadata.dataset_name.split(", ")}
    if trained_on != {"builtin"} and not any([profile.data.root, *(node.root for node in profile.nodes)]):
        raise MissingError(
            f"{adapters[0].path} was trained on recordings ({', '.join(sorted(trained_on))}), and data.root is not set",
            ["pictures are made of clips of the same data set, or of files of your own"],
            # One root is not the place of several data sets: a profile says where each node's lies.
            hint="--data-root DIR, or --audio FILE" if len(trained_on) == 1 else "-p PROFILE, or --audio FILE",
        )
    classes = request.classes or profile.classes
    check_classes(request.classes, profile.classes)
    nodes = clips_of_nodes(profile)
    for note in notes_on(nodes):
        warn(note)
    chosen = choose_clips(nodes, profile, classes)
    absent = lacking(chosen, classes)
    if absent and (request.classes or not chosen):
        raise MissingError(
            f"no clip of {', '.join(absent)} is among those that are asked for, {', '.join(profile.images.splits)}",
            [
                f"images.splits = {list(profile.images.splits)}: test are clips that are held out",
                *dict.fromkeys(f"{node.dataset.place} is divided by {node.split}" for node in nodes),
            ],
            hint="--set 'images.splits=[\"train\"]', or other classes",
        )
    if absent:
        warn(f"no clip of {', '.join(absent)} is held out: there are no pictures of these classes")
    return chosen


def _as_trained(loaded: LoadedProfile, adapters: Sequence[Adapters]) -> Profile:
    """The profile with the folds, encoder and targets that the checkpoints name, and with their nodes.

    What the user says of the encoder and of the targets beats what the checkpoints say.
    """
    profile = loaded.profile
    metadata = adapters[0].metadata
    keys = _keys(metadata)
    folds = {"train_folds": metadata.train_folds, "test_folds": metadata.test_folds}
    known = {key: metadata.encoder[key] for key in EmbeddingSection.model_fields if key in metadata.encoder}
    if len({one.metadata.encoder.get("tokens") for one in adapters}) > 1 and metadata.node_id is not None:
        del known["tokens"]  # which are that node's alone
    by_user = loaded.is_set_outside("embedding.encoder")
    encoder = loaded.profile.embedding.encoder if by_user else source_of(metadata.encoder)
    embedding = EmbeddingSection.model_validate(profile.embedding.model_dump() | known | {"encoder": encoder})
    adapter, images = profile.adapter, profile.images
    source = metadata.targets.get("source")
    if source is not None and adapter.targets == CODES:
        adapter = adapter.model_copy(update={"targets": source})
    pipeline = metadata.targets.get("pipeline")
    if pipeline is not None and images.pipeline is None:
        images = images.model_copy(update={"pipeline": pipeline})
    return profile.model_copy(
        update={
            "data": profile.data if keys is None else data_of(profile.data, keys, folds),
            "embedding": embedding,
            "adapter": adapter,
            "images": images,
            "nodes": _nodes(profile, adapters),
        }
    )


def _nodes(profile: Profile, adapters: Sequence[Adapters]) -> tuple[NodeSection, ...]:
    """The profile's nodes where its classes are the adapters'; else those that the checkpoints tell."""
    metadata, holdings = adapters[0].metadata, node_holdings(adapters)
    if set(profile.classes) == set(metadata.classes):
        # What the server's adapters say holds for all nodes.
        common = _keys(metadata) if metadata.node_id is None else None
        own = {node: _keys(one) for node, one in holdings.items()}
        nodes = (with_keys(node, own.get(node.id) or common or {}) for node in profile.nodes)
        return tuple(_with_tokens(node, holdings.get(node.id)) for node in nodes)
    if set(metadata.classes) <= {name for one in holdings.values() for name in one.node_classes}:
        told = {node: NodeSection(id=node, classes=one.node_classes) for node, one in holdings.items()}
        nodes = (with_keys(node, _keys(holdings[node.id]) or {}) for node in told.values())
        return tuple(_with_tokens(node, holdings[node.id]) for node in nodes)
    root = next((node.root for node in profile.nodes if node.root is not None), None)
    return (with_keys(NodeSection(id=0, classes=metadata.classes, root=root), _keys(metadata) or {}),)


def _with_tokens(node: NodeSection, metadata: AdapterMetadata | None) -> NodeSection:
    """A node with the tokens that its own adapters were trained on."""
    tokens = None if metadata is None else metadata.encoder.get("tokens")
    return node if tokens is None else node.model_copy(update={"tokens": tokens})


def _keys(metadata: AdapterMetadata) -> Mapping[str, Any] | None:
    """What says which clips a node held; None of a server whose nodes differ in it."""
    return FOLDS_ALONE if metadata.format_version == 1 else metadata.split
