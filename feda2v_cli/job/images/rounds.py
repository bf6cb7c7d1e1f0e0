"""Pictures while a federation runs: after every few rounds what the adapters make of the same clips."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from feda2v_cli.federation.round import Federation
from feda2v_cli.federation.setup import Setup
from feda2v_cli.federation.strategy.strategy import Owner
from feda2v_cli.image.adapter_output import Head, heads_of
from feda2v_cli.image.album import Drawn, draw
from feda2v_cli.image.picture import PictureMaker
from feda2v_cli.job.images.adapters import owner_word
from feda2v_cli.job.images.report import LIST, SHEET, recalls, write_list, write_sheet
from feda2v_cli.job.images.subjects import Subject, standardised
from feda2v_cli.job.images.wanted import of_adapters, of_targets
from feda2v_cli.run.event import Listener, PictureMade, PicturesScored


@dataclass(frozen=True)
class RoundPictures:
    """What pictures a federation makes of its rounds.

    Attributes:
        maker: loaded; it stays so for the whole federation.
        subjects: the clips.
        targets: of the classes by space, in their own units.
        owners: whose adapters make pictures.
        every: rounds between pictures; the last round has some too.
        rounds: of the federation.
        directory: of all pictures of the run.
        seconds: of a clip that are heard.
        emit: is told what happens.
    """

    maker: PictureMaker
    subjects: Sequence[Subject]
    targets: Mapping[str, Tensor]
    owners: Sequence[Owner]
    every: int
    rounds: int
    directory: Path
    seconds: float
    emit: Listener

    def due(self, number: int) -> bool:
        """Whether a round has pictures."""
        return number % self.every == 0 or number == self.rounds

    def needs_nodes(self, number: int) -> bool:
        """Whether the nodes' own adapters of a round are needed."""
        return self.due(number) and any(owner is not None for owner in self.owners)

    def draw(self, federation: Federation, number: int) -> None:
        """Make the pictures of a round that are not there yet.

        Raises:
            FailedError: memory does not suffice, or a file cannot be written.
        """
        setup = federation.setup
        directory = self.directory / f"round_{number:0{len(str(self.rounds))}}"
        wanted = []
        for owner in self.owners:
            own = [subject for subject in self.subjects if owner is None or owner in subject.holders]
            if own:
                heads = heads_of(setup.spaces, federation.adapters_of(owner, number))
                values = standardised(own, owner, setup.standardisation)
                wanted += of_adapters(own, heads, values, owner_word(owner), _digest(heads), setup.seed)
        wanted += of_targets(self.subjects, setup.classes, self.targets, setup.seed)
        centre = {space.name: space.centre for space in setup.spaces}

        def progress(one: Drawn, done: int, seconds: float) -> None:
            self.emit(PictureMade(str(one.path), one.fresh, done, len(wanted), round(seconds, 3)))

        drawn = draw(wanted, self.maker, centre, directory, progress)
        found = recalls(drawn, self.maker)
        write_sheet(directory / SHEET, drawn, self.subjects, self.seconds, {})
        write_list(directory / LIST, self._list(number, drawn, found))
        if found:
            self.emit(PicturesScored(number, {"gallery": found}))

    def _list(self, number: int, drawn: Sequence[Drawn], found: Mapping[str, Any]) -> dict[str, Any]:
        pictures = [one.to_dict() for one in drawn]
        return {"round": number, "maker": dict(self.maker.origin), "pictures": pictures, "gallery": dict(found)}


def picture_owners(setup: Setup, saved: Sequence[Owner]) -> list[Owner]:
    """Whose adapters make pictures: the server's, the nodes' own, as the profile says and the strategy has them."""
    images = setup.profile.images
    server: list[Owner] = [None] if images.server and None in saved else []
    nodes = [owner for owner in saved if owner is not None] if images.nodes or None not in saved else []
    return [*server, *nodes] or list(saved)


def _digest(heads: Mapping[str, Head]) -> str:
    digest = hashlib.sha256()
    for space, head in sorted(heads.items()):
        for name, values in sorted(head.parameters.items()):
            digest.update(f"{space}.{name}".encode() + values.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
