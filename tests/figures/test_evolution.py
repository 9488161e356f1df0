"""The pictures of an evolution show every iteration and class."""

import numpy as np
import pytest

from dpsynth.figures import evolution_grid, population_grid, save


@pytest.mark.parametrize("channels", [1, 3])
def test_every_iteration_and_class_is_there(channels, tmp_path):
    history = np.zeros((4, 2, 5, channels, 6, 8), dtype=np.uint8)
    for step in range(4):
        for label in range(2):
            history[step, label] = 40 * step + 100 * label
    picture = evolution_grid(history, ("disk", "bar"))
    axes = picture.axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == [f"iteration {k}" for k in (1, 2, 3, 4)]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["disk", "bar"]
    shown = np.asarray(axes.images[0].get_array())
    for x, step in zip(axes.get_xticks(), range(4), strict=True):
        for y, label in zip(axes.get_yticks(), range(2), strict=True):
            assert (shown[int(y), int(x)] == 40 * step + 100 * label).all()
    assert save(picture, tmp_path / "evolution", formats=("png",))[0].stat().st_size > 0


def test_one_iteration_says_which_it_is():
    history = np.zeros((3, 2, 4, 1, 5, 5), dtype=np.uint8)
    assert "iteration 2 of 3" in population_grid(history, 1, ("a", "b"))._suptitle.get_text()
    assert population_grid(history[:, :1], 0).axes
