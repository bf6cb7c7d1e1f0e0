"""Normal noise that is balanced within each class: a few samples then stand for their distribution."""

import torch
from torch import Tensor


def balanced_normal(labels: Tensor, width: int, random: torch.Generator) -> Tensor:
    """Standard normal noise for each sample, [samples, width].

    Each sample's noise is exactly standard normal. Together, the samples of a class come in opposite pairs, so that
    their mean has no error of chance (antithetic variables: Hammersley and Morton, 1956), and the pairs' directions
    are orthogonal, as many as there is room for, so that their covariance has less (orthogonal sampling: Choromanski
    et al., Unifying Orthogonal Monte Carlo Methods, 2019). A sample left over at an odd number is its own.

    Args:
        labels: which samples belong together, [samples].
        width: of the noise of a sample.
        random: the stream.
    """
    noise = torch.randn(len(labels), width, generator=random)
    for label in torch.unique(labels):
        places = (labels == label).nonzero().flatten()
        pairs, opposites = places[0:-1:2], places[1::2]
        turned = torch.cat([_orthogonal(block) for block in torch.split(noise[pairs], max(width, 1))])
        noise[pairs], noise[opposites] = turned, -turned
    return noise


def _orthogonal(vectors: Tensor) -> Tensor:
    """The vectors, turned until they are orthogonal; their lengths stay. [vectors, width], no more than width."""
    basis, triangle = torch.linalg.qr(vectors.T.double())
    # The sign makes the basis uniformly distributed (Mezzadri, How to Generate Random Matrices, 2007).
    turned: Tensor = basis * triangle.diagonal().sign() * vectors.double().norm(dim=1)
    return turned.T.float()
