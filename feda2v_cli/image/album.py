"""A directory of pictures, each of one point of the target spaces; what is there already is not made again."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from feda2v_cli import __version__
from feda2v_cli.image.picture import PictureMaker, read_origin, write_picture

_DETAILS = "details"


@dataclass(frozen=True)
class Wanted:
    """A picture that is to be made.

    Attributes:
        file: relative to the album.
        origin: what it is made of, for the PNG's text chunks: source (adapter or target), class, and for an adapter's
            clip, split, node, adapter (digest).
        point: by target space, float32 [*shape], in the targets' own units.
        seed: of the picture.
    """

    file: str
    origin: Mapping[str, str]
    point: Mapping[str, Tensor]
    seed: int


@dataclass(frozen=True)
class Drawn:
    """A picture that is there.

    Attributes:
        wanted: what it is.
        path: the file.
        details: what its maker says of it.
        fresh: whether it was made now.
    """

    wanted: Wanted
    path: Path
    details: Mapping[str, Any]
    fresh: bool

    def to_dict(self) -> dict[str, Any]:
        """As images.json has it."""
        origin = {key: self.wanted.origin.get(key) for key in ("source", "class", "clip", "split", "node", "adapter")}
        return {"file": self.wanted.file} | origin | {"seed": self.wanted.seed} | dict(self.details)


def draw(
    wanted: Sequence[Wanted],
    maker: PictureMaker,
    centre: Mapping[str, Tensor],
    directory: Path,
    progress: Callable[[Drawn, int, float], None],
) -> list[Drawn]:
    """Make the pictures that are not there, one after the other.

    A file counts as there when it is whole and its text chunks say that it was made of the same: clip, adapter, point,
    pipeline, seed and steps.

    Args:
        wanted: in the order of the result.
        maker: paints or finds.
        centre: mean target by space.
        directory: of the album.
        progress: is told of every picture, how many are done, and the seconds that it took.

    Raises:
        FailedError: memory does not suffice, or a file cannot be written.
        UsageError: the maker does not take such points.
    """
    drawn = []
    for number, one in enumerate(wanted, 1):
        started = time.monotonic()
        path = directory / one.file
        origin = _origin(one, maker)
        there = read_origin(path) if path.is_file() else None
        if there is not None and {key: text for key, text in there.items() if key != _DETAILS} == origin:
            done = Drawn(one, path, json.loads(there.get(_DETAILS, "{}")), fresh=False)
        else:
            made = maker.make(one.point, centre, one.seed)
            details = {_DETAILS: json.dumps(dict(made.details), ensure_ascii=False)} if made.details else {}
            write_picture(path, made.image, origin | details)
            done = Drawn(one, path, made.details, fresh=True)
        drawn.append(done)
        progress(done, number, time.monotonic() - started)
    return drawn


def _origin(wanted: Wanted, maker: PictureMaker) -> dict[str, str]:
    digest = hashlib.sha256()
    for space, values in sorted(wanted.point.items()):
        digest.update(space.encode() + values.contiguous().numpy().tobytes())
    return {
        "Software": f"feda2v {__version__}",
        **wanted.origin,
        **maker.origin,
        "seed": str(wanted.seed),
        "embedding": digest.hexdigest()[:16],
    }
