"""Printed characters as distance fields, from the fonts that matplotlib ships: DejaVu, STIX and Computer Modern.

A distance field says of every pixel how far it lies inside (above 0) or outside (below 0) of the ink. Drawn as a
sigmoid of that distance it gives smooth edges at any size, and adding a constant makes the stroke bolder or thinner.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import distance_transform_edt

SIDE = 48  # pixels of a field
BOX = 30  # pixels of the longer side of the ink in it
DRAWN = 120  # font size at which characters are drawn before they are scaled to the box
PATTERNS = ("DejaVuSans*.ttf", "DejaVuSerif*.ttf", "STIXGeneral*.ttf", "cm[brst]*10.ttf")
LEFT_OUT = {"cmsy10", "DejaVuSansDisplay", "DejaVuSerifDisplay"}  # symbols, and fonts of few characters
LONGEST = 3  # characters of a text that are drawn


@lru_cache(maxsize=1)
def fonts() -> tuple[Path, ...]:
    """The font files, in the order of their names."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    found = {path for pattern in PATTERNS for path in folder.glob(pattern) if path.stem not in LEFT_OUT}
    return tuple(sorted(found))


@lru_cache(maxsize=8)
def distance_fields(texts: Sequence[str]) -> np.ndarray:
    """(texts, fonts, 48, 48) float32 distance to the edge of the ink, in units of the field's side.

    Every text, cut to three characters, is centred and fills a box of the same size in every font.
    """
    fields = np.empty((len(texts), len(fonts()), SIDE, SIDE), dtype=np.float32)
    for k, path in enumerate(fonts()):
        font = ImageFont.truetype(str(path), DRAWN)
        for t, text in enumerate(texts):
            fields[t, k] = _field(text[:LONGEST], font)
    return fields


def _field(text: str, font: ImageFont.FreeTypeFont) -> np.ndarray:
    canvas = Image.new("L", (DRAWN * (LONGEST + 1), DRAWN * 2))
    ImageDraw.Draw(canvas).text((DRAWN // 2, DRAWN // 4), text, font=font, fill=255)
    box = canvas.getbbox() or (0, 0, 1, 1)  # a character without ink becomes a dot
    ink = canvas.crop(box)
    scale = BOX / max(ink.size)
    width, height = (max(1, round(side * scale)) for side in ink.size)
    placed = Image.new("L", (SIDE, SIDE))
    placed.paste(ink.resize((width, height), Image.Resampling.LANCZOS), ((SIDE - width) // 2, (SIDE - height) // 2))
    inside = np.array(placed, dtype=np.uint8) > 127
    if not inside.any():
        inside[SIDE // 2, SIDE // 2] = True
    within, beyond = (np.asarray(distance_transform_edt(side), dtype=np.float32) for side in (inside, ~inside))
    return (within - beyond) / SIDE
