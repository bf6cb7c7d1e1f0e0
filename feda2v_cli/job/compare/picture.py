"""The comparison as a picture: what quality costs, and where samples lie among clips."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from feda2v_cli.errors import FailedError, MissingError
from feda2v_cli.job.compare.report import Row
from feda2v_cli.report.colours import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from feda2v_cli.job.evaluate.map import EmbeddingMap

#: A colour comes again with another shape.
SHAPES = ("o", "s", "^", "D", "v")
#: At a README's width of about 860 pixels, text of this size is 11 pixels high.
WIDTH_INCHES, HEIGHT_INCHES, DOTS_PER_INCH, TEXT_POINTS = 8.6, 7.2, 200, 8
#: Of a point of a map.
POINT_AREA = 16
#: The plane is bounded where this share of the points lies, so that one far point does not press all others together.
SHOWN_SHARE = 0.99


def require_matplotlib() -> None:
    """Fail when nothing can be drawn, before anything is computed.

    Raises:
        MissingError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise MissingError(
            "matplotlib is not installed, and the picture is drawn with it",
            ["without the picture: --no-picture"],
            hint="pip install 'feda2v[plot]'",
        )


def draw_comparison(rows: Sequence[Row], drawn: "Sequence[EmbeddingMap]", path: Path) -> None:
    """Draw quality against time and disk, and below, for each granularity, clips and samples in a plane.

    Args:
        rows: one a granularity.
        drawn: the map of each, in the same order.
        path: the PNG to write.

    Raises:
        FailedError: it cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"font.size": TEXT_POINTS, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), dpi=DOTS_PER_INCH, layout="constrained")
        parts = figure.subfigures(3, 1, squeeze=False, height_ratios=(1.0, 1.15, 0.28))
        above, below, names = parts[:, 0]
        left, right = above.subplots(1, 2, sharey=True)
        _trade_off(left, rows, [row.training_seconds for row in rows], "training of all nodes, seconds")
        left.legend(frameon=False, loc="best")
        _trade_off(right, rows, [row.disk_bytes_per_node / 1e6 for row in rows], "disk a node, MB")
        left.set_ylabel("TSTR / TRTR\n(samples beside clips)")
        maps = below.subplots(1, len(rows), sharex=True, sharey=True, squeeze=False)[0]
        for axes, row, own in zip(maps, rows, drawn, strict=True):
            _map(axes, own)
            axes.set_title(row.granularity, fontsize=TEXT_POINTS + 1)
        below.supxlabel(
            "embeddings on two principal axes: clips held out are filled, samples are hollow", fontsize=TEXT_POINTS
        )
        handles, labels = maps[0].get_legend_handles_labels()
        names.legend(handles, labels, loc="center", ncols=5, frameon=False, fontsize=TEXT_POINTS)
        try:
            figure.savefig(path)
        except OSError as error:
            raise FailedError(
                f"{path} cannot be written — {error.strerror}", hint="--output DIR writes elsewhere"
            ) from error


def _trade_off(axes: "Axes", rows: Sequence[Row], costs: Sequence[float], what: str) -> None:
    for place, (row, cost) in enumerate(zip(rows, costs, strict=True)):
        half = (row.tstr.high - row.tstr.low) / 2 / row.trtr.value
        axes.errorbar(
            cost, row.tstr_share, yerr=half, fmt=SHAPES[place], color=COLOURS[place], markersize=7, capsize=3,
            label=row.granularity,
        )  # fmt: skip
    axes.axhline(1.0, color="#999999", linewidth=0.8, linestyle="--")
    axes.annotate(
        "as good as clips", (0.0, 1.0), xycoords=("axes fraction", "data"), xytext=(4, 3), textcoords="offset points",
        color="#666666",
    )  # fmt: skip
    axes.set_xlim(0, 1.35 * max(costs))
    axes.set_xlabel(what)


def _map(axes: "Axes", drawn: "EmbeddingMap") -> None:
    """Clips, and as many samples of each class, in the plane."""
    for place, (name, clips) in enumerate(drawn.clips.items()):
        samples = drawn.samples[name]
        colour = COLOURS[place % len(COLOURS)]
        shape = SHAPES[place // len(COLOURS) % len(SHAPES)]
        look: dict[str, Any] = {"s": POINT_AREA, "marker": shape}
        axes.scatter(clips[:, 0].numpy(), clips[:, 1].numpy(), color=colour, linewidths=0, label=name, **look)
        axes.scatter(
            samples[:, 0].numpy(), samples[:, 1].numpy(), facecolors="none", edgecolors=colour, linewidths=0.8, **look
        )
    horizontal, vertical = torch.cat(list(drawn.clips.values())).T
    axes.set_xlim(*_bounds(horizontal))
    axes.set_ylim(*_bounds(vertical))
    axes.set_xticks([])
    axes.set_yticks([])


def _bounds(values: Tensor) -> tuple[float, float]:
    """Where an axis begins and ends, of values [clips]."""
    low, high = (float(values.quantile(share)) for share in (1 - SHOWN_SHARE, SHOWN_SHARE))
    margin = 0.15 * (high - low)
    return low - margin, high + margin
