"""dpsynth/models/mixture/recipe.py and fitted.py"""

import math

import numpy as np
import pytest
import torch

import dpsynth
from dpsynth.data import ImageDomain, Images
from dpsynth.errors import ConfigError
from dpsynth.models.mixture import ImageMixture
from dpsynth.models.mixture.fitted import FittedImageMixture
from dpsynth.privacy.noise.random import RandomGenerators

INFINITE = dpsynth.Budget(math.inf, 1e-5)
SMALL = ImageMixture(clusters=2, rounds=3, directions=8, waves=8, texture=1.0)
DOMAIN = ImageDomain(12, 12, classes=("left", "right"), rows=4000)


def bars(n: int, domain: ImageDomain = DOMAIN, seed: int = 0) -> Images:
    """Class 0 is light on the left, class 1 on the right, each in the upper or in the lower half, of any brightness."""
    draw = np.random.default_rng(seed)
    labels, lower = draw.random(n) < 0.3, draw.integers(0, 2, n)
    pixels = np.zeros((n, domain.channels, 12, 12), np.uint8)
    for k, light in enumerate(draw.integers(120, 250, n)):
        pixels[k, :, 6 * lower[k] : 6 * lower[k] + 6, 7 * labels[k] : 7 * labels[k] + 5] = light
    return Images(pixels, labels.astype(np.int64) if domain.classes else None, domain)


@pytest.fixture(scope="module")
def fitted():
    return SMALL.fit(bars(4000), INFINITE, RandomGenerators(0))


def halves(images: Images) -> np.ndarray:
    """(n, 2, 2) mean brightness of the upper and lower, left and right parts."""
    units = images.pixels[:, 0].astype(float) / 255
    return np.stack([units[:, :6, :5], units[:, :6, 7:], units[:, 6:, :5], units[:, 6:, 7:]], 1).mean((2, 3))


def test_classes_have_their_fractions_their_places_and_both_of_their_kinds(fitted):
    drawn = fitted.sample(2000, seed=0)
    assert drawn.labels.mean() == pytest.approx(0.3, abs=0.03)
    parts = halves(drawn).reshape(-1, 2, 2)
    for label in (0, 1):
        own = parts[drawn.labels == label]
        assert own[:, :, 1 - label].mean() < 0.05  # dark on the other side
        upper = own[:, 0, label] > own[:, 1, label]
        assert upper.mean() == pytest.approx(0.5, abs=0.12)
        assert np.abs(own[:, 0, label] - own[:, 1, label]).mean() > 0.3  # one of two, seldom both
    asked = fitted.sample(50, seed=0, where={"label": "right"})
    assert (asked.labels == 1).all()


def test_means_and_variances_of_pixels_are_those_of_the_class(fitted):
    real, drawn = bars(4000, seed=1), fitted.sample(4000, seed=1)
    for label in (0, 1):
        a, b = (images.pixels[images.labels == label].astype(float) / 255 for images in (real, drawn))
        assert np.abs(a.mean(0) - b.mean(0)).mean() < 0.04
        assert b.var(0).sum() == pytest.approx(a.var(0).sum(), rel=0.3)


def test_noise_at_epsilon_one_leaves_the_classes_in_their_places():
    drawn = SMALL.fit(bars(4000), dpsynth.Budget(1.0, 1e-5), RandomGenerators(0)).sample(500, seed=0)
    parts = halves(drawn).reshape(-1, 2, 2).mean(1)
    assert (parts.argmax(1) == drawn.labels).mean() > 0.95


def test_a_saved_model_draws_the_same(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    again = dpsynth.load(tmp_path / "model")
    assert isinstance(again, FittedImageMixture)
    np.testing.assert_array_equal(again.sample(70, seed=3).pixels, fitted.sample(70, seed=3).pixels)


def test_parts_of_another_size_are_refused(fitted):
    for name in fitted.NAMES:
        parts = {**fitted.tensors(), name: fitted.tensors()[name][..., :-1]}
        with pytest.raises(ValueError, match="shape"):
            FittedImageMixture.restore(fitted.config(), parts, fitted.domain, {})


@pytest.mark.parametrize(
    "domain", [ImageDomain(12, 12, rows=300), ImageDomain(12, 12, 3, ("a", "b"), 300), ImageDomain(12, 12, size=5)]
)
def test_images_without_classes_in_colour_and_at_another_size(domain):
    images = bars(300, domain)
    drawn = SMALL.fit(images, dpsynth.Budget(3.0, 1e-5), RandomGenerators(0)).sample(9, seed=0)
    assert drawn.pixels.shape == (9, *domain.shape)


def test_no_image_at_all_is_a_model_too():
    empty = Images(np.zeros((0, 1, 12, 12), np.uint8), np.zeros(0, np.int64), DOMAIN)
    assert len(SMALL.fit(empty, dpsynth.Budget(1.0, 1e-5), RandomGenerators(0)).sample(5, seed=0)) == 5


def test_releases_share_the_budget_as_said():
    plan = SMALL.replace(shares={"pixels": 1, "shared": 2, "scatter": 3, "clusters": 4}).plan(
        DOMAIN, dpsynth.Budget(1.0, 1e-5)
    )
    method = plan.method
    costs = [
        each.releases / each.noise_multiplier**2
        for each in (method.pixels, method.shared, method.scatter, method.clusters)
    ]
    np.testing.assert_allclose(np.array(costs) / sum(costs), [0.1, 0.2, 0.3, 0.4], rtol=1e-9)
    assert method.clusters.releases == 3


def test_texture_scales_the_noise_of_the_other_directions_alone(fitted):
    plain = SMALL.replace(texture=0.25).fit(bars(4000), INFINITE, RandomGenerators(0))
    for name in fitted.NAMES:
        factor = 0.25 if name == "remaining" else 1.0
        torch.testing.assert_close(plain.tensors()[name], factor * fitted.tensors()[name], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"clusters": 0}, "clusters"),
        ({"radius": 0.0}, "radius"),
        ({"waves": 65}, "waves"),
        ({"texture": 2}, "texture"),
        ({"shares": {"pixels": 0}}, "pixels"),
    ],
)
def test_options_out_of_range_are_named(options, word):
    with pytest.raises(ConfigError, match=word):
        ImageMixture().replace(**options)


def test_more_waves_than_pixels_are_all_waves():
    plan = ImageMixture(waves=64).plan(ImageDomain(5, 4, 3, ("a",), 100), dpsynth.Budget(1.0, 1e-5))
    assert plan.method.waves == 3 * 20
    assert plan.method.directions == 60  # of 80, as there are no more waves


def test_draws_do_not_depend_on_how_many_are_drawn_together(fitted, monkeypatch):
    from dpsynth.models.mixture import fitted as module

    assert isinstance(fitted, FittedImageMixture)
    whole = fitted._units(torch.zeros(40, dtype=torch.int64), torch.Generator().manual_seed(0))
    assert whole.shape == (40, 144)
    assert float(whole.min()) >= 0
    assert float(whole.max()) <= 1
    monkeypatch.setattr(module, "AT_ONCE", 7)
    assert len(fitted.sample(30, seed=0)) == 30
