"""Characters as distance fields: printed ones from the fonts that matplotlib ships, and digits as hands write them.

Printed characters as distance fields, from the fonts that matplotlib ships: DejaVu, STIX and Computer Modern.

A distance field says of every pixel how far it lies inside (above 0) or outside (below 0) of the ink. Drawn as a
sigmoid of that distance it gives smooth edges at any size, and adding a constant makes the stroke bolder or thinner.

Digits as hands write them, strokes of a pen, as everybody learns at school: distance fields like printed ones.

Fonts have serifs and swelling strokes, a pen has neither; and some shapes are written and never printed: the open 4,
the crossed 7, the 1 of one stroke, the 2 with a loop. The strokes are drawn up here by hand, by people who
know what MNIST looks like; no number was fitted to data.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.interpolate import CubicSpline
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


# -------------------- Handwriting -----------------------------------------------------------

PEN = 0.045  # radius of the pen, of the field's side
DOTS = 200  # points of a stroke

Form = tuple[str, ...]  # strokes: a smooth line through points "x,y x,y ...", x to the right, y down, height 1
FORMS: dict[str, tuple[Form, ...]] = {
    "0": (
        (".35,0 .1,.15 0,.5 .1,.85 .35,1 .6,.85 .7,.5 .6,.15 .35,0",),
        (".5,.06 .25,.04 .05,.25 0,.6 .12,.92 .4,1 .65,.8 .72,.4 .55,.08 .3,.12",),
    ),
    "1": (("0,0 0,.5 0,1",), ("0,.25 .22,0", ".22,0 .22,1"), ("0,.25 .25,0", ".25,0 .25,1", "0,1 .5,1")),
    "2": (
        ("0,.22 .1,.06 .35,0 .6,.1 .64,.32 .45,.63 0,1", "0,1 .7,1"),
        (".05,.15 .3,0 .6,.12 .58,.42 .35,.75 .12,.98 0,.88 .12,.78 .4,.9 .75,.95",),
        ("0,.12 .3,0 .58,.13 .5,.5 .05,.97", ".05,.97 .3,.9 .5,.98 .75,.92"),
    ),
    "3": (
        (".03,.12 .3,0 .57,.1 .55,.34 .22,.47", ".22,.47 .58,.55 .67,.77 .45,.97 .17,.98 0,.85"),
        ("0,.03 .6,.03", ".6,.03 .25,.42", ".25,.42 .56,.5 .66,.72 .47,.95 .2,1 0,.88"),
        ("0,.08 .3,0 .5,.14 .4,.36 .15,.46", ".15,.46 .42,.5 .5,.72 .36,.93 0,1"),
    ),
    "4": (
        (".1,0 0,.52", "0,.52 .72,.5", ".58,.05 .52,1"),
        (".5,0 0,.65", "0,.65 .75,.65", ".5,0 .5,1"),
        (".05,0 0,.35 .12,.52 .38,.52 .6,.4", ".65,0 .58,.5 .52,1"),
        (".6,0 .3,.3 0,.55", "0,.55 .7,.5", ".6,0 .42,1"),
    ),
    "5": (
        (".65,0 .12,.02", ".12,.02 .06,.42", ".06,.42 .35,.36 .62,.5 .65,.75 .42,.97 .12,.97 0,.87"),
        (".72,.02 .35,.03 .16,.12 .17,.35 .45,.5 .6,.7 .45,.94 .16,1 0,.9",),
        (".75,0 .3,.08", ".3,.08 .2,.42", ".2,.42 .45,.5 .52,.72 .35,.95 0,1"),
    ),
    "6": (
        (".55,0 .25,.2 .05,.52 .05,.82 .25,1 .52,.92 .6,.7 .42,.55 .2,.6 .05,.78",),
        (".4,0 .15,.4 0,.75 .15,.98 .4,.94 .5,.75 .36,.62 .14,.72 .02,.85",),
        (".25,0 .05,.4 .03,.8 .25,1 .55,.93 .68,.72 .5,.57 .25,.66 .1,.85",),
    ),
    "7": (
        ("0,.04 .65,.04", ".65,.04 .45,.45 .25,1"),
        ("0,.04 .65,.04", ".65,.04 .45,.45 .28,1", ".15,.52 .62,.47"),
        ("0,.22 .04,.05", ".04,.05 .62,.04", ".62,.04 .5,.4 .45,1"),
        ("0,.1 .2,0 .45,.08 .6,.03", ".6,.03 .4,.4 .15,1"),
    ),
    "8": (
        (".58,.13 .35,0 .1,.12 .14,.32 .38,.49 .58,.72 .5,.93 .27,1 .04,.88 .08,.67 .33,.48 .56,.32 .58,.13",),
        (".66,.08 .4,0 .16,.1 .17,.28 .37,.48 .48,.7 .38,.95 .15,1 0,.86 .1,.65 .35,.46 .6,.25 .66,.08",),
        (".3,0 .06,.1 .1,.34 .3,.44 .52,.32 .54,.1 .3,0", ".3,.44 .05,.58 .02,.85 .3,1 .58,.86 .56,.58 .3,.44"),
    ),
    "9": (
        (".6,.13 .4,0 .1,.08 0,.3 .14,.48 .4,.42 .6,.13", ".6,.13 .57,.5 .52,1"),
        (".6,.15 .38,0 .1,.1 .03,.34 .22,.5 .48,.4 .62,.12", ".62,.12 .62,.5 .48,.88 .2,1 .02,.92"),
        (".5,.08 .25,.02 .02,.2 .08,.4 .32,.36 .5,.08", ".5,.08 .35,.5 .15,1"),
    ),
}


def written_fields(text: str) -> np.ndarray:
    """(forms, 48, 48) float32 distance to the edge of the ink, as of `glyphs.distance_fields`; none but for a digit."""
    places = np.stack(np.meshgrid(*[np.arange(SIDE)] * 2), axis=-1).astype(np.float32)  # (row, column, (x, y))
    fields = [_stroke_field([_line(stroke) for stroke in form], places) for form in FORMS.get(text, ())]
    return np.array(fields, dtype=np.float32).reshape(-1, SIDE, SIDE)


def _line(stroke: str) -> np.ndarray:
    """(dots, 2) a smooth line through the points of a stroke, of even speed."""
    points = np.array([pair.split(",") for pair in stroke.split()], dtype=np.float64)
    length = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
    return CubicSpline(length, points, bc_type="natural")(np.linspace(0, length[-1], DOTS))


def _stroke_field(lines: list[np.ndarray], places: np.ndarray) -> np.ndarray:
    dots = np.concatenate(lines)
    low, high = dots.min(axis=0), dots.max(axis=0)
    reach = BOX - 2 * PEN * SIDE  # of the pen's middle; its edge fills the box
    dots = (dots - (low + high) / 2) * (reach / (high - low).max()) + (SIDE - 1) / 2
    apart = np.sqrt(((places[:, :, None] - dots.astype(np.float32)) ** 2).sum(axis=-1).min(axis=-1))
    return PEN - apart / SIDE
