"""Normal noise that is balanced within each class: a few samples then stand for their distribution."""

import torch
from torch import Tensor


def balanced_normal(labels: Tensor, width: int, random: torch.Generator) -> Tensor:
    """Standard normal noise for each sample, [samples, width].

    Each sample's noise is exactly standard normal. Together, the n samples of a class come in p = n // 2 opposite pairs
    ε_i and −ε_i, so that their mean has no error of chance: Σ_i (ε_i − ε_i) = 0 (antithetic variables: Hammersley and
    Morton, 1956). The coordinates are taken in blocks of p, and in each block the pairs are orthogonal,

        ε_i = ‖g_i‖ q_i,   g_i ~ N(0, 1_p),   q_iᵀ q_j = δ_ij,   Q = (q_1 … q_p) uniform over the rotations,

    so that their covariance there has less error of chance too: in the basis Q it is diagonal (orthogonal sampling:
    Choromanski et al., Unifying Orthogonal Monte Carlo Methods, 2019). A length and an independent, uniform direction
    make a normal vector; that is why each ε_i alone is N(0, 1_p). The block that matters most should come first. A
    sample left over at an odd number is its own. Wider noise from the same stream begins with the same numbers, up to
    some of the last.

    Args:
        labels: which samples belong together, [samples].
        width: of the noise of a sample.
        random: the stream.
    """
    # Twice as wide as asked for, so that a last block can be made as wide as the others.
    drawn = torch.randn(2 * width, len(labels), generator=random).T
    noise = drawn[:, :width].clone()
    for label in torch.unique(labels):
        places = (labels == label).nonzero().flatten()
        pairs, opposites = places[0:-1:2], places[1::2]
        if len(pairs):
            balanced = _balanced(drawn[pairs], width)
            noise[pairs], noise[opposites] = balanced, -balanced
    return noise


def opposite_normal(labels: Tensor, width: int, random: torch.Generator) -> Tensor:
    """Standard normal noise for each sample, [samples, width], of which those of a class come in opposite pairs.

    It is what `balanced_normal` gives without orthogonal pairs: for coordinates that are many and matter little.

    Args:
        labels: which samples belong together, [samples].
        width: of the noise of a sample.
        random: the stream.
    """
    noise = torch.randn(len(labels), width, generator=random)
    for label in torch.unique(labels):
        places = (labels == label).nonzero().flatten()
        pairs, opposites = places[0:-1:2], places[1::2]
        noise[opposites] = -noise[pairs]
    return noise


def _balanced(vectors: Tensor, width: int) -> Tensor:
    """Vectors [count, width], orthogonal in each block of `count` coordinates, the last cut off.

    Args:
        vectors: [count, twice the width].
        width: of the result. Where there are more vectors than that, so many at a time are orthogonal.
    """
    count = len(vectors)
    if count > width:
        return torch.cat([_orthogonal(few) for few in torch.split(vectors[:, :width], width)])
    whole = -(-width // count) * count
    blocks = vectors[:, :whole].reshape(count, -1, count).transpose(0, 1)  # [blocks, count, count]
    return _orthogonal(blocks).transpose(0, 1).flatten(1)[:, :width]


def _orthogonal(vectors: Tensor) -> Tensor:
    """The vectors, turned until they are orthogonal; their lengths stay. [..., vectors, width], no more than width."""
    # G = Q R: the columns of Q are the vectors' directions, orthogonalised one after the other.
    basis, triangle = torch.linalg.qr(vectors.mT.double())
    # The sign makes the basis uniformly distributed (Mezzadri, How to Generate Random Matrices, 2007).
    signs = triangle.diagonal(dim1=-2, dim2=-1).sign()
    orthogonal: Tensor = basis * (signs * vectors.double().norm(dim=-1)).unsqueeze(-2)
    return orthogonal.mT.float()
