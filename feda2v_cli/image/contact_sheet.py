"""The contact sheet: sounds, and the pictures beside them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from feda2v_cli.image.picture import pillow

if TYPE_CHECKING:
    from PIL.Image import Image

_CELL = 128
_GAP = 6
_LABEL = 16
_HEADING = 22
_MOST_ROWS = 6
_DARK = "#222222"
#: Magma, at five places.
_COLOURS = ((0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (252, 253, 191))
_WINDOW, _HOP, _BANDS = 1024, 256, 96
_LOUDEST_TO_QUIETEST_DB = 70.0


@dataclass(frozen=True)
class Row:
    """A sound and its pictures.

    Attributes:
        label: what it is.
        waveform: mono, [samples]; None leaves its cell empty.
        sample_rate: Hz.
        pictures: in the order of the headings; None leaves a cell empty.
    """

    label: str
    waveform: Tensor | None
    sample_rate: int
    pictures: "tuple[Image | None, ...]"


def contact_sheet(rows: Sequence[Row], headings: Sequence[str]) -> "Image":
    """A sheet of rows: the sound's spectrogram, then its pictures; many rows stand in several columns.

    Args:
        rows: at least one.
        headings: of the pictures.
    """
    image_module = pillow()
    from PIL import ImageDraw, ImageFont

    blocks = math.ceil(len(rows) / _MOST_ROWS)
    per_block = math.ceil(len(rows) / blocks)
    columns = ("sound", *headings)
    width = len(columns) * (_CELL + _GAP) + 2 * _GAP
    height = _HEADING + per_block * (_CELL + _LABEL + _GAP) + _GAP
    sheet = image_module.new("RGB", (blocks * width, height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    for place, row in enumerate(rows):
        block, line = divmod(place, per_block)
        left = block * width + _GAP
        top = _HEADING + line * (_CELL + _LABEL + _GAP)
        if line == 0:
            for column, heading in enumerate(columns):
                draw.text((left + column * (_CELL + _GAP), 5), heading, fill=_DARK, font=font)
        draw.text((left, top), _cut(row.label, len(columns) * _CELL, font), fill=_DARK, font=font)
        sound = None if row.waveform is None else spectrogram(row.waveform, row.sample_rate)
        for column, image in enumerate((sound, *row.pictures)):
            if image is not None:
                fitted = _fitted(image)
                inset = ((_CELL - fitted.width) // 2, (_CELL - fitted.height) // 2)
                corner = left + column * (_CELL + _GAP) + inset[0], top + _LABEL + inset[1]
                sheet.paste(fitted, corner)
    return cast("Image", sheet)


def spectrogram(waveform: Tensor, sample_rate: int) -> "Image":
    """A sound in mel bands over time, low tones below, loud bright.

    Args:
        waveform: mono, [samples].
        sample_rate: Hz.
    """
    import torchaudio

    filled = torch.nn.functional.pad(waveform, (0, max(0, _WINDOW - len(waveform))))
    window = torch.hann_window(_WINDOW)
    power = torch.stft(filled, _WINDOW, _HOP, window=window, return_complex=True).abs().square()  # [bins, frames]
    banks = torchaudio.functional.melscale_fbanks(_WINDOW // 2 + 1, 40.0, sample_rate / 2, _BANDS, sample_rate)
    levels = 10 * torch.log10(banks.T @ power + 1e-10)  # [bands, frames]
    scaled = ((levels - levels.max()) / _LOUDEST_TO_QUIETEST_DB + 1).clamp(0, 1).flip(0).numpy()
    places = np.linspace(0, 1, len(_COLOURS))
    colours = np.stack([np.interp(scaled, places, [c[i] for c in _COLOURS]) for i in range(3)], axis=-1)
    image: Image = pillow().fromarray(colours.astype(np.uint8), "RGB").resize((_CELL, _CELL))
    return image


def _fitted(image: "Image") -> "Image":
    scale = _CELL / max(image.size)
    resized: Image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    return resized


def _cut(text: str, width: int, font: Any) -> str:
    while text and font.getlength(text) > width:
        text = text[:-2].rstrip("…") + "…"
    return text
