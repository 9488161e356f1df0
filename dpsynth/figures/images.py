"""Images in rows by class: synthetic ones, real ones above synthetic ones, or a population as it evolves.

Pictures with real images are private output.

Of an evolution there is one picture for each iteration, or one of all. It shows what was released: candidates from all
over a population, from most noisy votes to fewest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dpsynth.figures.style import INK, REAL, SYNTHETIC, figure, figure_style

CELL = 0.34  # inches
GAP = 0.08  # between images, as a fraction of their side


def image_grid(images: np.ndarray, labels: np.ndarray | None, per_class: int = 10, title: str = "") -> Figure:
    """One row of the first `per_class` images for each class; a class with fewer leaves places empty.

    images: (n, h, w), (n, h, w, 3) or, as `images_of` gives them, (n, 1 or 3, h, w); uint8, or float in [0, 1].
    labels: (n,) of any one type that sorts, -1 for missing; None for images without classes. title: such as the method
    and epsilon.
    """
    return _mosaic([(images, labels)], per_class, [SYNTHETIC], {}, title)


def image_comparison(
    real: np.ndarray,
    real_labels: np.ndarray | None,
    synthetic: np.ndarray,
    synthetic_labels: np.ndarray | None,
    per_class: int = 10,
    names: Mapping[int, str] | None = None,
    title: str = "",
) -> Figure:
    """For each class a row of real images, and below it one of synthetic images; arrays as in `image_grid`.

    names: what the labels are called. title: such as the method and epsilon.
    """
    sides = [(real, real_labels), (synthetic, synthetic_labels)]
    return _mosaic(sides, per_class, [REAL, SYNTHETIC], names or {}, title)


def _mosaic(
    sides: Sequence[tuple[np.ndarray, np.ndarray | None]],
    per_class: int,
    colors: Sequence[str],
    names: Mapping[int, str],
    title: str = "",
) -> Figure:
    """All sides' rows of one class together, a coloured stripe before each row that says whose it is."""
    given = [
        (_unit(images), np.full(len(images), "") if labels is None else np.asarray(labels)) for images, labels in sides
    ]
    for images, labels in given:
        if len(images) != len(labels):
            raise ValueError(f"{len(images)} images but {len(labels)} labels")
    classes = np.unique(np.concatenate([labels for _, labels in given]))
    height, width, channels = given[0][0].shape[1:]
    gap = max(1, round(GAP * max(height, width)))
    between = 2 * gap if len(given) > 1 else 0
    block = len(given) * (height + gap) + between
    canvas = np.ones((max(1, len(classes) * block - gap - between), per_class * (width + gap) - gap, channels))
    stripes: list[tuple[float, float, str]] = []
    for c, name in enumerate(classes):
        for s, (images, labels) in enumerate(given):
            top = c * block + s * (height + gap)
            stripes.append((top - 0.5, float(height), colors[s]))
            for k, image in enumerate(images[labels == name][:per_class]):
                left = k * (width + gap)
                canvas[top : top + height, left : left + width] = image
    with figure_style():
        unit = CELL / width  # inches of a pixel
        picture = figure(max(2.6, canvas.shape[1] * unit + 0.7), canvas.shape[0] * unit + 0.45)
        axes = picture.subplots()
        axes.imshow(canvas[..., 0] if channels == 1 else canvas, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        reach = -1.5 * gap
        for top, tall, color in stripes:
            axes.fill_betweenx([top, top + tall], reach, reach + gap * 0.9, color=color, linewidth=0)
        middle = (len(given) * (height + gap) - gap) / 2 - 0.5
        axes.set_yticks(
            [c * block + middle for c in range(len(classes))],
            ["missing" if name == -1 else names.get(name, str(name)) for name in classes],
        )
        axes.set_xticks([])
        axes.set_xlim(reach - 0.5, canvas.shape[1] - 0.5)
        axes.tick_params(axis="y", length=0, labelsize=9, labelcolor=INK)
        for spine in axes.spines.values():
            spine.set_visible(False)
        words = ["real", "synthetic"] if len(given) > 1 else ["synthetic"]
        handles = [Patch(color=color, label=word) for color, word in zip(colors, words, strict=True)]
        picture.legend(handles=handles, loc="outside upper left", ncols=2)
        if title:
            axes.set_title(title, loc="right", fontsize=9, color=INK)
    return picture


def _unit(images: np.ndarray) -> np.ndarray:
    """(n, h, w, 1 or 3) float64 in [0, 1]."""
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., None]
    elif images.ndim == 4 and images.shape[-1] not in (1, 3) and images.shape[1] in (1, 3):
        images = np.moveaxis(images, 1, -1)
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"images of shape {images.shape}: give (n, height, width), with 1 or 3 channels last or second"
        )
    scaled = images / 255 if images.dtype == np.uint8 else images.astype(np.float64)
    return np.clip(np.nan_to_num(scaled), 0.0, 1.0)


# -------------------- Evolution -------------------------------------------------------------

SHOWN = 5  # images of a class and iteration in the picture of all iterations


def population_grid(history: np.ndarray, iteration: int, classes: Sequence[str] = ()) -> Figure:
    """Candidates of iteration `iteration`, a row for each class, from most votes to fewest.

    history: (iterations, labels, images, channels, height, width) uint8, as `EvolvedImages.history` has it.
    """
    labels, images = history.shape[1:3]
    names = None if not classes else np.repeat(np.array(classes), images)
    picture = image_grid(history[iteration].reshape(labels * images, *history.shape[3:]), names, images)
    with figure_style():
        picture.suptitle(f"iteration {iteration + 1} of {len(history)}", x=0.99, ha="right", fontsize=8)
    return picture


def evolution_grid(history: np.ndarray, classes: Sequence[str] = ()) -> Figure:
    """All iterations from left to right, a row for each class, in each from most votes to fewest."""
    iterations, labels, images, channels, height, width = history.shape
    some = np.arange(min(SHOWN, images)) * images // min(SHOWN, images)
    shown = history[:, :, some].transpose(1, 4, 0, 2, 5, 3)  # labels, height, iterations, shown, width, channels
    many = shown.shape[3]
    gap = max(1, width // 3)
    block = many * width + gap
    canvas = np.full((labels * (height + 1), iterations * block - gap, channels), 255, dtype=np.uint8)
    for label in range(labels):
        for step in range(iterations):
            picture = shown[label, :, step].reshape(height, many * width, channels)
            top, left = label * (height + 1), step * block
            canvas[top : top + height, left : left + many * width] = picture
    with figure_style():
        unit = CELL / width
        drawn = figure(canvas.shape[1] * unit + 0.9, canvas.shape[0] * unit + 0.4)
        axes = drawn.subplots()
        axes.imshow(canvas[..., 0] if channels == 1 else canvas, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_xticks(
            [step * block + many * width / 2 for step in range(iterations)],
            [f"iteration {step + 1}" for step in range(iterations)],
        )
        middles = [label * (height + 1) + height / 2 for label in range(labels)]
        axes.set_yticks(middles, list(classes) or [""] * labels)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    return drawn
