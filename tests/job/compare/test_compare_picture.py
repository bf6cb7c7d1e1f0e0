import sys

import pytest

from feda2v_cli.errors import MissingError
from feda2v_cli.job.compare.picture import SHAPES, require_matplotlib
from feda2v_cli.report.colours import COLOURS


def test_without_matplotlib_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(MissingError) as missing:
        require_matplotlib()
    assert missing.value.hint == "pip install 'feda2v[plot]'"


def test_classes_of_an_esc_10_and_more_have_looks_of_their_own() -> None:
    looks = {(COLOURS[n % len(COLOURS)], SHAPES[n // len(COLOURS) % len(SHAPES)]) for n in range(35)}
    assert len(looks) == 35


@pytest.mark.parametrize("matrix", ["deuteranopia", "protanopia"])
def test_colours_stay_apart_for_colour_blind_eyes(matrix: str) -> None:
    """Simulated as Viénot, Brettel and Mollon (1999) do, in linear light."""
    kept = {"deuteranopia": (0.29275, 0.70725, -0.02234), "protanopia": (0.11238, 0.88762, 0.00401)}[matrix]
    seen = []
    for colour in COLOURS:
        red, green, blue = ((int(colour[place : place + 2], 16) / 255) ** 2.2 for place in (1, 3, 5))
        yellow = kept[0] * red + kept[1] * green
        seen.append((yellow ** (1 / 2.2), max(kept[2] * (red - green) + blue, 0) ** (1 / 2.2)))
    gaps = [
        max(abs(a - b) for a, b in zip(one, other, strict=True))
        for place, one in enumerate(seen)
        for other in seen[:place]
    ]
    assert min(gaps) > 0.08
