"""Saves what a federation has trained: adapters of the server and of every node, as checkpoints of their own."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from feda2v_cli import __version__
from feda2v_cli.checkpoint.file import write_checkpoint
from feda2v_cli.checkpoint.metadata import AdapterMetadata
from feda2v_cli.data.nodes import expected_data
from feda2v_cli.data.split import keys_of_node
from feda2v_cli.embedding.identity import recorded
from feda2v_cli.engine.stack import parameters_of
from feda2v_cli.federation.setup import Setup
from feda2v_cli.job.federate.plan import FederationPlan
from feda2v_cli.job.federate.rounds import ResumableFederation
from feda2v_cli.profile.load import profile_hash
from feda2v_cli.profile.schema import NodeSection
from feda2v_cli.run.event import CheckpointSaved, Listener


def save_adapters(plan: FederationPlan, run: ResumableFederation, emit: Listener) -> None:
    """Write the checkpoints of a federation that has ended, one after the other; none when the profile keeps none.

    A node's are the adapters that it trained in the last round, before they became one; of a node that was not there
    they are the server's.

    Raises:
        FailedError: a file cannot be written.
    """
    profile, setup = plan.profile, run.federation.setup
    sections = {node.id: node for node in profile.nodes}
    data = {node.id: _data(plan, node) for node in profile.nodes}
    hashed = profile_hash(plan.whole)
    for owner in plan.owners if plan.files else ():
        encoder = plan.encoder if owner is None else plan.encoders[owner]
        metadata = AdapterMetadata(
            base_name=profile.checkpoint.adapter_base_name,
            node_id=owner,
            round=run.rounds,
            strategy=profile.federation.strategy,
            classes=plan.classes,
            node_classes=plan.classes if owner is None else sections[owner].classes,
            architecture={
                "dim": encoder.shape[1],
                "hidden": profile.adapter.hidden,
                "spaces": {space.name: list(space.adapter.target) for space in setup.spaces},
            },
            encoder=recorded(encoder.identity, encoder.source),
            embedding_shape=encoder.shape,
            targets=dict(plan.targets.identity) | plan.targets_source,
            targets_fingerprint=plan.targets.fingerprint,
            **(_of_all(list(data.values())) if owner is None else data[owner]),
            synthetic_per_class=setup.most_samples_per_class,
            generators={}
            if plan.generators is None
            else {"base_name": plan.generators.base_name, "granularity": plan.generators.granularity},
            seed=setup.seed,
            accuracy=run.history.evaluations[-1]["accuracy"],
            package_version=__version__,
            torch_version=str(torch.__version__),
            profile_hash=hashed,
        )
        path = plan.file_of(owner)
        state = _state(setup, run.federation.adapters_of(owner, run.rounds))
        emit(CheckpointSaved(str(path), write_checkpoint(path, metadata, state)))


def _data(plan: FederationPlan, node: NodeSection) -> dict[str, Any]:
    """What the metadata say of a node's clips; as far as the profile tells, where they are on another machine."""
    data = plan.profile.data
    held = next((held for held in plan.nodes if held.node_id == node.id), None)
    name, split = expected_data(data, node) if held is None else (held.dataset.name, held.split)
    folds = (split is None or split.kind == "folds") and (data.train_folds, data.test_folds)
    return {
        "dataset_name": name or "auto",
        "train_folds": folds[0] if folds else (),
        "test_folds": folds[1] if folds else (),
        "split": None if split is None else keys_of_node(data, node, split),
    }


def _of_all(nodes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the metadata of the server's adapters say of the clips of all nodes."""
    by_folds = [node for node in nodes if node["train_folds"]]
    splits = [{key: value for key, value in (node["split"] or {}).items() if key != "block"} for node in nodes]
    alike = all(split == splits[0] for split in splits)
    split = splits[0] if alike and splits[0] else None
    names = ", ".join(dict.fromkeys(node["dataset_name"] for node in nodes))
    return (by_folds or nodes)[0] | {"dataset_name": names, "split": split}


def _state(setup: Setup, adapters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a checkpoint: the adapters, and what their inputs and outputs are scaled with."""
    state = {"embedding.mean": setup.standardisation.mean, "embedding.scale": setup.standardisation.scale}
    for space in setup.spaces:
        state |= {
            f"{space.name}.{name}": value for name, value in parameters_of(adapters[space.name], space.shapes).items()
        }
        state |= {f"{space.name}.target_centre": space.centre, f"{space.name}.target_scale": torch.tensor(space.scale)}
    return state
