"""Small federations whose clips can be told apart."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from feda2v_cli.embedding.stored import StoredEmbeddings
from feda2v_cli.federation.inputs import JoinedInputs
from feda2v_cli.federation.pool import Node, Pool
from feda2v_cli.federation.retrieval import HeldOut
from feda2v_cli.federation.round import Federation
from feda2v_cli.federation.setup import Setup
from feda2v_cli.federation.space import Space
from feda2v_cli.federation.standardise import Standardisation
from feda2v_cli.federation.synthetic import NodeGenerator
from feda2v_cli.generator.gaussian import GaussianSampler
from feda2v_cli.generator.generator import Generator
from feda2v_cli.generator.principal_components import PrincipalComponents
from feda2v_cli.generator.projection import Projection
from feda2v_cli.profile.schema import Profile


def stored(values: Tensor) -> StoredEmbeddings:
    """Embeddings [clips, tokens, dim] as a cache would give them."""
    return StoredEmbeddings(values.numpy(), range(len(values)), "float32")


CLASSES = ("cow", "dog", "frog", "pig")
TOKENS, DIM = 2, 12


def clips_of(label: int, count: int, seed: int = 0, tokens: int = TOKENS) -> Tensor:
    """Embeddings [clips, tokens, dim] around a mean that tells the class."""
    mean = torch.randn(TOKENS, DIM, generator=torch.Generator().manual_seed(1000 + label))
    mean = mean.repeat(-(-tokens // TOKENS), 1)[:tokens]
    return mean + 0.3 * torch.randn(count, tokens, DIM, generator=torch.Generator().manual_seed(seed * 100 + label))


def maker_of(node: int, labels: Sequence[int], tokens: int = TOKENS) -> NodeGenerator:
    """A generator of a node that makes some classes."""
    means = torch.stack([clips_of(label, 50, tokens=tokens).mean(0).flatten() for label in labels])
    features = tokens * DIM
    projection = Projection(torch.zeros(features), torch.ones(features), None)
    loadings = 0.3 * torch.eye(features).repeat(len(labels), 1, 1)
    sampler = GaussianSampler(PrincipalComponents(means, loadings, torch.ones(features), None))
    return NodeGenerator(
        node, None, Generator([CLASSES[label] for label in labels], (tokens, DIM), projection, sampler)
    )


def setup_of(
    holdings: Sequence[Sequence[int]],
    *,
    clips: int = 6,
    samples: int = 0,
    use: tuple[str, ...] = ("local",),
    refresh: str = "once",
    learning_rates: Sequence[float] | None = None,
    budget: int = 1 << 30,
    seed: int = 0,
    batch_size: int = 4,
    tokens: Sequence[int] | None = None,
    **federation: object,
) -> Setup:
    """A federation whose nodes hold `clips` clips of each of their classes, with as many `tokens` as each has."""
    own_tokens = [TOKENS] * len(holdings) if tokens is None else tokens
    spaces = tuple(
        Space.of(
            name,
            torch.stack(
                [torch.randn(shape, generator=torch.Generator().manual_seed(label)) for label in range(len(CLASSES))]
            ),
            DIM,
            16,
        )
        for name, shape in {"clip": (8,), "t5": (2, 8)}.items()
    )
    embeddings, labels, nodes = [], [], []
    for index, held in enumerate(holdings):
        start = sum(len(part) for part in embeddings)
        for label in held:
            embeddings.append(clips_of(label, clips, seed=index + 1, tokens=own_tokens[index]))
            labels += [label] * clips
        rate = 3e-3 if learning_rates is None else learning_rates[index]
        places = torch.arange(start, start + clips * len(held))
        nodes.append(Node(index, places, dict.fromkeys(held, clips), {"clip": rate, "t5": rate}, samples))
    tested = torch.cat([clips_of(label, 5, seed=99) for label in range(len(CLASSES))])
    holders = [tuple(node for node, held in enumerate(holdings) if label in held) for label in range(len(CLASSES))]
    return Setup(
        profile=Profile.model_validate(
            {
                "experiment": {"seed": seed},
                "adapter": {"batch_size": batch_size, "schedule": "constant"},
                "synthetic": {"use": use, "refresh": refresh},
                "federation": {"rounds": 5, **federation},
                "nodes": [
                    {"id": node, "classes": [CLASSES[label] for label in held]} for node, held in enumerate(holdings)
                ],
            }
        ),
        spaces=spaces,
        nodes=tuple(nodes),
        clips=Pool(
            torch.cat(embeddings) if tokens is None else JoinedInputs(embeddings), torch.tensor(labels), len(labels)
        ),
        held_out=HeldOut(
            tested,
            torch.arange(len(CLASSES)).repeat_interleave(5),
            tuple(holder for holder in holders for _ in range(5)),
            tuple(range(len(holdings))),
        ),
        standardisation=Standardisation(torch.zeros(DIM), torch.ones(DIM)),
        generators=tuple(maker_of(node, held, own_tokens[node]) for node, held in enumerate(holdings))
        if samples
        else (),
        budget=budget,
        device=torch.device("cpu"),
    )


def federation_of(setup: Setup, directory: Path) -> Federation:
    """A federation before its first round."""
    return Federation(setup, directory, lambda models, width: None)  # noqa: ARG005


def after(setup: Setup, directory: Path, rounds: int) -> Federation:
    """A federation after so many rounds."""
    federation = federation_of(setup, directory)
    for number in range(1, rounds + 1):
        federation.run_round(number)
    return federation
