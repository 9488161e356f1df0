"""What both simulators must keep: legal images, children of the same label, near their parents for small degrees."""

import numpy as np
import pytest

from dpsynth.data import ImageDomain
from dpsynth.models.pe.api import PEApi
from dpsynth.models.pe.simulators import BENDS, WRITTEN, FaceSimulator, GlyphSimulator, reflected

DOMAINS = [
    ImageDomain(28, 28, classes=tuple("0123456789")),
    ImageDomain(9, 13, channels=3, classes=("bag", "shoe")),
    ImageDomain(8, 8),
]


@pytest.fixture(params=[GlyphSimulator, FaceSimulator])
def kind(request):
    return request.param


@pytest.fixture(params=DOMAINS, ids=str)
def domain(request):
    return request.param


def apart(one, two):
    return np.abs(one.genes["pixels"].astype(float) - two.genes["pixels"]).mean()


def test_images_fit_the_domain_and_vary_by_degree(kind, domain):
    api, draw = kind(domain), np.random.default_rng(0)
    labels = np.arange(60) % max(len(domain.classes), 1)
    batch = api.random(labels, draw)
    assert batch.genes["pixels"].shape == (60, *domain.shape)
    assert batch.genes["pixels"].dtype == np.uint8
    assert batch.genes["pixels"].reshape(60, -1).std(axis=1).min() > 0
    same, near, far = (api.variation(batch, degree, np.random.default_rng(1)) for degree in (0.0, 0.05, 0.8))
    np.testing.assert_array_equal(same.genes["pixels"], batch.genes["pixels"])
    assert 0 < apart(near, batch) < apart(far, batch)
    np.testing.assert_array_equal(far.labels, labels)


def test_the_generator_decides(kind, domain):
    api, labels = kind(domain), np.zeros(5, dtype=np.int64)
    one, same, other = (api.random(labels, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.genes["pixels"], same.genes["pixels"])
    assert apart(one, other) > 0


def test_an_individual_is_drawn_alike_in_any_company(kind, domain):
    """A child's pixels follow from its genes alone."""
    api = kind(domain)
    batch = api.random(np.zeros(7, dtype=np.int64), np.random.default_rng(0))
    alone = api.variation(batch.take(np.array([4])), 0.0, np.random.default_rng(0))
    assert apart(alone, batch.take(np.array([4]))) <= 1 / 16  # a level of a pixel, here and there, by rounding


def test_they_are_apis_that_say_where_they_come_from(kind):
    api = kind(DOMAINS[0])
    assert isinstance(api, PEApi)
    assert str(api.provenance).startswith("simulator: ")
    assert api.portable


def test_glyphs_keep_to_the_text_of_their_class():
    """A field of a class is never exchanged for one of another; written forms and fonts are drawn equally often."""
    api = GlyphSimulator(DOMAINS[0])
    digits, labels = np.arange(10), np.arange(3000) % 10
    owners = np.concatenate([np.repeat(digits, api._fonts), np.repeat(digits, api._hands)])
    batch = api.variation(api.random(labels, np.random.default_rng(0)), 1.0, np.random.default_rng(1))
    np.testing.assert_array_equal(owners[batch.genes["glyph"]], labels)
    assert set(batch.genes["glyph"]) == set(range(len(owners)))
    assert (batch.genes["glyph"] >= 10 * api._fonts).mean() == pytest.approx(WRITTEN, abs=0.05)


def test_texts_without_written_forms_are_printed():
    api = GlyphSimulator(DOMAINS[1])
    glyphs = api.random(np.arange(500) % 2, np.random.default_rng(0)).genes["glyph"]
    assert set(glyphs) == set(range(2 * api._fonts))


def test_digits_can_be_stated_apart():
    """Known truth: an upright digit of any font is nearest to the mean of its class over all other fonts."""
    api = GlyphSimulator(DOMAINS[0])
    labels, upright = np.repeat(np.arange(10), api._fonts), np.zeros((10 * api._fonts, api._numbers), dtype=np.float32)
    straight = np.zeros((len(labels), 2, BENDS, BENDS), dtype=np.float32)
    drawn = api._drawn(labels, np.arange(len(labels)), upright, straight).genes["pixels"]
    images = drawn.reshape(10, api._fonts, -1) / 255
    others = (images.sum(axis=1, keepdims=True) - images) / (api._fonts - 1)
    distances = ((images[:, None] - others[None]) ** 2).sum(axis=3)  # (digit, class, font)
    assert (distances.argmin(axis=1) == np.arange(10)[:, None]).mean() > 0.95


def test_walks_are_reflected_at_the_ends():
    np.testing.assert_allclose(reflected(np.array([1.2, -1.5, 0.3, 9.0])), [0.8, -0.5, 0.3, 1.0], rtol=1e-6)
