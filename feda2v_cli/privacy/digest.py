"""The digest by which a file names the public basis that it holds. It imports no PyTorch."""

import hashlib
from collections.abc import Mapping

#: First part of the names of a basis's tensors in a file.
PREFIX = "projection."


def digest_of_basis(digests: Mapping[str, str]) -> str:
    """The SHA-256, in hexadecimal, of sorted lines, of the name and the digest of a tensor with a blank between.

    Args:
        digests: SHA-256 of the elements of each tensor of a file by name; those of the basis count.
    """
    lines = sorted(f"{name} {digest}\n" for name, digest in digests.items() if name.startswith(PREFIX))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
