import numpy as np
import pytest

from dpsynth.figures.images import image_comparison, image_grid
from dpsynth.figures.style import render

pytestmark = pytest.mark.filterwarnings("error")


def canvas(picture):
    return np.asarray(picture.axes[0].images[0].get_array())


def solid(labels, height=4, width=4):
    """Images of one grey each, which tells the class: label / 10."""
    return np.ones((len(labels), height, width)) * np.asarray(labels)[:, None, None] / 10


def test_rows_are_classes_and_hold_their_own_images():
    labels = np.array([3, 1, 3, 2, 1, 3])
    shown = canvas(image_grid(solid(labels), labels, per_class=4))
    assert shown.shape == (3 * 5 - 1, 4 * 5 - 1)
    for row, (label, count) in enumerate([(1, 2), (2, 1), (3, 3)]):
        line = shown[row * 5 + 1]
        assert (line[: 5 * count - 1][np.arange(5 * count - 1) % 5 < 4] == label / 10).all()
        assert (line[5 * count :] == 1).all()  # places without an image stay blank
    assert [text.get_text() for text in image_grid(solid(labels), labels).axes[0].get_yticklabels()] == ["1", "2", "3"]


@pytest.mark.parametrize("draw", [image_grid, lambda *given, **more: image_comparison(*given, *given, **more)])
def test_a_title_stands_in_the_picture_that_is_saved(draw):
    given = np.zeros((4, 6, 6)), np.array([0, 0, 1, 1])
    assert draw(*given, title="merf, epsilon 1").axes[0].get_title(loc="right") == "merf, epsilon 1"
    assert draw(*given).axes[0].get_title(loc="right") == ""


def test_real_images_stand_above_synthetic_ones():
    real, synthetic = np.zeros((4, 3, 3)), np.full((6, 3, 3), 0.5)
    picture = image_comparison(real, np.array([0, 0, 1, 1]), synthetic, np.array([0, 0, 0, 2, 2, 2]), per_class=2)
    shown = canvas(picture)
    assert (shown[:3, :3] == 0).all()
    assert (shown[4:7, :3] == 0.5).all()
    assert [text.get_text() for text in picture.axes[0].get_yticklabels()] == ["0", "1", "2"]  # of both tables
    assert [text.get_text() for text in picture.legends[0].get_texts()] == ["real", "synthetic"]


def test_bytes_floats_colours_and_channels_first_are_one_scale():
    labels = np.zeros(1)
    grey = canvas(image_grid(np.full((1, 4, 4), 51, dtype=np.uint8), labels, per_class=1))
    assert grey == pytest.approx(np.full((4, 4), 0.2))
    assert canvas(image_grid(np.full((1, 4, 4), 0.2), labels, per_class=1)) == pytest.approx(grey)
    assert canvas(image_grid(np.full((1, 1, 4, 4), 0.2), labels, per_class=1)) == pytest.approx(grey)
    assert canvas(image_grid(np.full((1, 3, 5, 4), 0.2), labels, per_class=1)).shape == (5, 4, 3)
    assert canvas(image_grid(np.full((1, 5, 4, 3), 0.2), labels, per_class=1)).shape == (5, 4, 3)


def test_odd_images_are_drawn():
    for images, labels in (
        (np.zeros((1, 1, 1)), np.array(["only"])),
        (np.full((3, 28, 28), np.nan), np.array([-1, 0, 0])),
        (np.zeros((2, 5, 9)), None),
    ):
        assert render(image_grid(images, labels), "png").startswith(b"\x89PNG")
    assert image_grid(np.zeros((2, 5, 9)), np.array([-1, 0])).axes[0].get_yticklabels()[0].get_text() == "missing"


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="2 images but 3 labels"):
        image_grid(np.zeros((2, 4, 4)), np.zeros(3))
    with pytest.raises(ValueError, match="shape"):
        image_grid(np.zeros((2, 16)), np.zeros(2))
