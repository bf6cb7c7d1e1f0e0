"""The comparison as a table: one row a granularity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from feda2v_cli.checkpoint.name import Granularity
from feda2v_cli.quality.verdict import Figure

HEADINGS = (
    "granularity",
    "generators a node",
    "parameters a node",
    "memory a node",
    "disk a node",
    "training",
    "TSTR / TRTR",
    "recall (floor)",
    "KAD (floor)",
    "attack",
    "accuracy after federate",
)


@dataclass(frozen=True)
class Row:
    """One granularity, measured.

    Attributes:
        granularity: which.
        generators_per_node: fewest and most.
        parameters_per_node: of all generators of the node that has most.
        memory_bytes_per_node: that training takes on the node that takes most, as the dry run plans it.
        disk_bytes_per_node: of the checkpoints of the node that has most.
        training_seconds: of all nodes together, on this machine, without making embeddings.
        tstr: accuracy of a probe trained on samples.
        trtr: the same on clips.
        recall: of the clips held out, among the samples.
        kad: kernel audio distance of the samples.
        attack: AUC of the strongest attack that needs a file alone; ½ is chance.
        verdict: of the evaluation.
        accuracy: after a federation with the samples.
    """

    granularity: Granularity
    generators_per_node: tuple[int, int]
    parameters_per_node: int
    memory_bytes_per_node: int
    disk_bytes_per_node: int
    training_seconds: float
    tstr: Figure
    trtr: Figure
    recall: Figure
    kad: Figure
    attack: float | None
    verdict: str
    accuracy: float

    @property
    def tstr_share(self) -> float:
        """TSTR / TRTR: what samples are worth beside clips."""
        return self.tstr.value / self.trtr.value

    def to_dict(self) -> dict[str, Any]:
        """Its values as JSON has them."""
        plain = {name: vars(value) if isinstance(value, Figure) else value for name, value in vars(self).items()}
        return plain | {"generators_per_node": list(self.generators_per_node), "tstr_share": self.tstr_share}

    def cells(self) -> tuple[str, ...]:
        """Its values as people read them, under `HEADINGS`."""
        fewest, most = self.generators_per_node
        half = (self.tstr.high - self.tstr.low) / 2 / self.trtr.value
        return (
            self.granularity,
            str(most) if fewest == most else f"{fewest} to {most}",
            f"{self.parameters_per_node / 1e6:.2f} M",
            f"{self.memory_bytes_per_node / 1e6:.0f} MB",
            f"{self.disk_bytes_per_node / 1e6:.1f} MB",
            f"{self.training_seconds:.1f} s",
            f"{self.tstr_share:.2f} ± {half:.2f}",
            f"{self.recall.value:.2f} ({_number(self.recall.floor)})",
            f"{self.kad.value:.2f} ({_number(self.kad.floor)})",
            _number(self.attack),
            f"{self.accuracy:.3f}",
        )


def markdown(
    rows: Sequence[Row],
    without_samples: float,
    one_shot: float | None,
    setting: Mapping[str, Any],
    picture: str | None,
) -> str:
    """The report as Markdown.

    Args:
        rows: of the table.
        without_samples: accuracy of the federation that exchanges parameters alone.
        one_shot: of the one that exchanges the generators of the first row alone; None when there was none.
        setting: what the figures were measured with.
        picture: file name of the picture, beside the report; None without one.
    """
    lines = [
        "# Granularities side by side",
        "",
        f"| {' | '.join(HEADINGS)} |",
        f"|{'|'.join(['---', *['---:'] * (len(HEADINGS) - 1)])}|",
        *(f"| {' | '.join(row.cells())} |" for row in rows),
        "",
        explanation(without_samples, one_shot, setting),
    ]
    if picture:
        lines += ["", f"![Quality against time and disk, and real and synthetic embeddings by class]({picture})"]
    return "\n".join(lines) + "\n"


def explanation(without_samples: float, one_shot: float | None, setting: Mapping[str, Any]) -> str:
    """What the figures were measured with, in a few sentences."""
    data = str(setting["data"])
    sentences = (
        f"{data[0].upper()}{data[1:]}: {setting['classes']} classes on {setting['nodes']} nodes, "
        f"{setting['clips_trained']} clips trained, {setting['clips_held_out']} held out; "
        f"{setting['generator_type']}, {setting['epochs']} epochs, seed {setting['seed']}.",
        f"TSTR, recall and KAD are means of {setting['draws']} draws; the floor is what real clips reach in the "
        f"samples' place. Attack is the AUC of the strongest that needs a file alone: 0.50 is chance.",
        "Training is of all nodes on this machine, beside other parts of the comparison and without making embeddings; "
        "memory is planned, PyTorch included.",
        f"Accuracy is of {setting['federation_rounds']} rounds with {setting['local_epochs']} local epochs and "
        f"{setting['samples_per_class']} samples a class; without samples it is {without_samples:.3f}"
        + ("." if one_shot is None else f", with strategy one_shot and unified generators {one_shot:.3f}."),
    )
    return " ".join(sentences)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
