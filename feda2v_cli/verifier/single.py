"""One checkpoint, read or loaded after its check: nothing unsound is ever loaded."""

from pathlib import Path
from typing import TYPE_CHECKING

from feda2v_cli.checkpoint.content import M, check_name, read_header
from feda2v_cli.checkpoint.defect import Defect
from feda2v_cli.checkpoint.file import load_content
from feda2v_cli.checkpoint.format.archive import read_archive
from feda2v_cli.checkpoint.format.opening import opened
from feda2v_cli.checkpoint.metadata import AdapterMetadata, GeneratorMetadata
from feda2v_cli.verifier.finding import Finding, FindingsError
from feda2v_cli.verifier.inspection import false_claims, other_basis
from feda2v_cli.verifier.tensors import check_state

if TYPE_CHECKING:
    from torch import Tensor

    from feda2v_cli.generator.generator import Generator


def load_generator(path: Path | str) -> "Generator":
    """The generator that one checkpoint holds, rebuilt from the file alone.

    >>> generator = load_generator("checkpoints/generators/vae_unified_node0.pt")  # doctest: +SKIP
    >>> generator.sample(["dog", "cow", "cow"], seed=1).shape  # doctest: +SKIP
    torch.Size([3, 4, 768])

    Raises:
        FindingsError: the file is not there, or not sound.
    """
    from feda2v_cli.generator.rebuild import rebuild

    metadata, state = load_checkpoint(Path(path))
    return rebuild(metadata.architecture, metadata.generator_classes, state)


def read_metadata(path: Path) -> GeneratorMetadata:
    """What a generator's checkpoint says of itself; its tensors are neither read nor checked, nor PyTorch needed.

    Raises:
        FindingsError: there is no such checkpoint, or its metadata cannot be read.
    """
    try:
        with opened(path) as file:
            return read_header(read_archive(file), GeneratorMetadata).metadata
    except Defect as defect:
        raise FindingsError([Finding.of(path, defect)]) from defect


def load_checkpoint(path: Path) -> tuple[GeneratorMetadata, dict[str, "Tensor"]]:
    """Load a generator's checkpoint after checking every byte of it.

    Returns:
        What it says of itself, and its tensors by name on the CPU.

    Raises:
        FindingsError: it is damaged, unsafe, not what its name says, does not fit its architecture, holds NaN, or
            promises more privacy than its noise gives, or holds another public basis than it names.
    """
    return _load(Path(path), GeneratorMetadata)


def load_adapter(path: Path) -> tuple[AdapterMetadata, dict[str, "Tensor"]]:
    """Load an adapter's checkpoint after checking every byte of it.

    Returns:
        What it says of itself, and its tensors by name on the CPU.

    Raises:
        FindingsError: it is damaged, unsafe, not what its name says, does not fit its architecture, or holds NaN.
    """
    return _load(Path(path), AdapterMetadata)


def _load(path: Path, kind: type[M]) -> tuple[M, dict[str, "Tensor"]]:
    try:
        content, state = load_content(path, kind)
        check_name(path, content.metadata)
        claims = (*false_claims(path, content.metadata), *other_basis(content))
        for defect in (*claims, *check_state(content.metadata, state)):
            raise defect
    except Defect as defect:
        raise FindingsError([Finding.of(path, defect)]) from defect
    return content.metadata, state
