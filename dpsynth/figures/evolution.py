"""How a population of images evolves: one picture for each iteration, or all of them in one.

Everything shown was released: candidates from all over a population, from most noisy votes to fewest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from dpsynth.figures.images import image_grid
from dpsynth.figures.style import figure, house_style

SHOWN = 5  # images of a class and iteration in the picture of all iterations
CELL = 0.34  # inches


def population_grid(history: np.ndarray, iteration: int, classes: Sequence[str] = ()) -> Figure:
    """Candidates of iteration `iteration`, a row for each class, from most votes to fewest.

    history: (iterations, labels, images, channels, height, width) uint8, as `EvolvedImages.history` has it.
    """
    labels, images = history.shape[1:3]
    names = None if not classes else np.repeat(np.array(classes), images)
    picture = image_grid(history[iteration].reshape(labels * images, *history.shape[3:]), names, images)
    with house_style():
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
    with house_style():
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
