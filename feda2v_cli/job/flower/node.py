"""A node of several: its clips, generators and device, as its own profile says, and Flower's SuperNode."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from feda2v_cli.checkpoint.file import write_checkpoint
from feda2v_cli.data.nodes import clips_of_nodes
from feda2v_cli.embedding.encoder import Encoder, make_encoder, node_encoders
from feda2v_cli.embedding.target import TextSources
from feda2v_cli.errors import Feda2vError
from feda2v_cli.flower.node import NodeData
from feda2v_cli.job.federate.find_generators import find_generators
from feda2v_cli.job.machine import choose_device
from feda2v_cli.job.nodes import cache_directory, choose_nodes, embed_nodes
from feda2v_cli.profile.load import LoadedProfile
from feda2v_cli.run.event import Listener, Noted, Warned
from feda2v_cli.verifier.expectation import Expectation


def prepare_node(loaded: LoadedProfile, node: int, emit: Listener) -> NodeData:
    """Embed the clips of a node, and verify its generators.

    Args:
        loaded: the node's own profile.
        node: its id.
        emit: is told what happens.

    Raises:
        UsageError: the profile has no such node, or several sets of generators would do.
        MissingError: data, weights or a device are not there.
        FailedError: a clip is unreadable.
    """
    profile = choose_nodes(loaded.profile, [node])
    device = choose_device(profile.experiment.device)
    encoder = node_encoders(make_encoder(profile.embedding, device), profile)[node]
    nodes = clips_of_nodes(profile)
    embeddings = embed_nodes(nodes, encoder, profile, emit)
    (held,) = (one.without({clip for clip, _ in embeddings.skipped}) for one in nodes)
    places = {clip: place for place, clip in enumerate(embeddings.clips)}
    emit(Noted(f"node {node}: {len(held.train)} clips that train, {len(held.held_out)} held out"))
    return NodeData(
        node=node,
        profile=profile,
        device=device,
        sources=TextSources(profile.images.pipeline, cache_directory(profile), device),
        encoder=dict(encoder.identity),
        train=embeddings.stored.of([places[clip] for clip in held.train]),
        train_classes=tuple(clip.class_name for clip in held.train),
        test=embeddings.stored.of([places[clip] for clip in held.held_out]),
        test_classes=tuple(clip.class_name for clip in held.held_out),
        generators=_generators(loaded, node, encoder, emit),
    )


def _generators(loaded: LoadedProfile, node: int, encoder: Encoder, emit: Listener) -> tuple[bytes, ...]:
    """The node's checkpoints, whole files, after every byte has been checked; none when there are none."""
    if "generators" not in loaded.profile.flower.share:
        return ()
    expectation = Expectation.from_profile(loaded, loaded.name, (node,), encoder.identity)
    try:
        found = find_generators(expectation, _words(loaded), lambda finding: emit(Warned(str(finding.message))))
    except Feda2vError as error:
        # Not every federation needs them; one that does is told.
        emit(Warned(f"no generators to share: {error}"))
        return ()
    emit(Noted(f"node {node}: shares {found}"))
    with TemporaryDirectory(prefix="feda2v-") as place:
        contents = []
        for metadata, state in found.loaded:
            path = Path(place) / metadata.filename
            # Where a run lies on this machine is nobody's business.
            write_checkpoint(path, replace(metadata, run_directory=None), state)
            contents.append(path.read_bytes())
    return tuple(contents)


def _words(loaded: LoadedProfile) -> Sequence[str]:
    return ["flower", "node", "-p", str(loaded.path)]
