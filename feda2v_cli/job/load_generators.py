"""From checkpoints to generators that draw samples; nothing unsound is ever loaded."""

from pathlib import Path

from feda2v_cli.checkpoint.expectation import Expectation
from feda2v_cli.checkpoint.file import load_checkpoint
from feda2v_cli.checkpoint.loading import load_set
from feda2v_cli.checkpoint.metadata import GeneratorMetadata
from feda2v_cli.generator.generator import Generator
from feda2v_cli.generator.rebuild import rebuild


def load_generator(path: Path | str) -> Generator:
    """The generator that one checkpoint holds, rebuilt from the file alone.

    >>> generator = load_generator("checkpoints/generators/vae_unified_node0.pt")  # doctest: +SKIP
    >>> generator.sample(["dog", "cow", "cow"], seed=1).shape  # doctest: +SKIP
    torch.Size([3, 4, 768])

    Raises:
        FindingsError: the file is not there, or not sound.
    """
    metadata, state = load_checkpoint(Path(path))
    return rebuild(metadata.architecture, metadata.generator_classes, state)


def load_generators(
    directory: Path | str, expectation: Expectation | None = None
) -> list[tuple[GeneratorMetadata, Generator]]:
    """All generators of a set, node by node: either every one that is expected is there and sound, or none is loaded.

    Args:
        directory: where the set lies.
        expectation: what it is to be; None for the one set that is there.

    Raises:
        FindingsError: something that is needed is missing or not sound.
        UsageError: the directory holds several sets that would do.
    """
    return [
        (metadata, rebuild(metadata.architecture, metadata.generator_classes, state))
        for metadata, state in load_set(Path(directory), expectation)
    ]
