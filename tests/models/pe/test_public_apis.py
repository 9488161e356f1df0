"""APIs made from declared public images: a pool and a generator. Both name what they were made from."""

import numpy as np
import pytest

from dpsynth.data import ImageDomain, Images
from dpsynth.errors import ConfigError
from dpsynth.models.pe.api import PEApi
from dpsynth.models.pe.image_apis import NAMES, ImagePoints, image_api, portable_api, provenance_of
from dpsynth.models.pe.public_images import ImagePool, PublicGenerator, public_images

DOMAIN = ImageDomain(8, 8, classes=("dark", "light"))


def bars(n: int = 200, domain: ImageDomain = DOMAIN) -> Images:
    """Dark images of class 0 and light ones of class 1, with a bar at one of eight places."""
    draw = np.random.default_rng(0)
    labels = np.arange(n) % 2
    pixels = np.where(labels[:, None, None, None] == 0, 30, 200) + np.zeros((n, 1, 8, 8))
    pixels[np.arange(n), :, draw.integers(0, 8, n)] += 50
    return Images(pixels.astype(np.uint8), labels if domain.classes else None, domain)


@pytest.fixture(scope="module", params=["pool", "generator"])
def api(request):
    if request.param == "pool":
        return ImagePool(DOMAIN, bars(), ImagePoints(DOMAIN, size=8), "folder/bars.npz")
    return PublicGenerator(DOMAIN, bars(), "folder/bars.npz", steps=300)


def test_they_name_their_public_data(api):
    assert isinstance(api, PEApi)
    assert str(api.provenance) == "public_data: bars.npz"
    assert not api.portable


def test_images_are_of_their_class_and_so_are_variations(api):
    labels = np.arange(40) % 2
    batch = api.random(labels, np.random.default_rng(0))
    for degree in (0.0, 0.3, 1.0):
        child = api.variation(batch, degree, np.random.default_rng(1))
        assert child.genes["pixels"].shape == (40, 1, 8, 8)
        means = child.genes["pixels"].mean(axis=(1, 2, 3))
        assert means[labels == 0].max() < 110 < means[labels == 1].min()
        if degree == 0:
            np.testing.assert_array_equal(child.genes["pixels"], batch.genes["pixels"])


def test_small_degrees_stay_near(api):
    batch = api.random(np.zeros(100, dtype=np.int64), np.random.default_rng(0))
    near, far = (
        np.abs(
            api.variation(batch, degree, np.random.default_rng(1)).genes["pixels"] - batch.genes["pixels"].astype(float)
        ).mean()
        for degree in (0.05, 1.0)
    )
    assert near < far


def test_a_pool_shows_nothing_but_its_images():
    pool = bars()
    api = ImagePool(DOMAIN, pool, ImagePoints(DOMAIN, size=8))
    batch = api.variation(
        api.random(np.zeros(50, dtype=np.int64), np.random.default_rng(0)), 1.0, np.random.default_rng(1)
    )
    known = {image.tobytes() for image in pool.pixels}
    assert {image.tobytes() for image in batch.genes["pixels"]} <= known


def test_a_pool_of_other_classes_serves_all_labels():
    other = ImageDomain(8, 8, classes=("a", "b"))
    images = Images(bars().pixels, bars().labels, other)
    batch = ImagePool(DOMAIN, images, ImagePoints(DOMAIN, size=8)).random(
        np.zeros(100, dtype=np.int64), np.random.default_rng(0)
    )
    means = batch.genes["pixels"].mean(axis=(1, 2, 3))
    assert means.min() < 110 < means.max()


def test_sources_are_read_and_refused(tmp_path):
    path = bars().write(tmp_path / "bars.npz")
    assert len(public_images(str(path), DOMAIN)) == 200
    for source, domain, word in (
        (None, DOMAIN, "name the public images"),
        (str(tmp_path / "none.npz"), DOMAIN, "no file"),
        (str(path), ImageDomain(9, 9), "shape"),
    ):
        with pytest.raises(ConfigError, match=word):
            public_images(source, domain)


def test_every_name_makes_what_it_says(tmp_path, monkeypatch):
    monkeypatch.setattr("dpsynth.models.pe.public_images.STEPS", 1)
    path = str(bars().write(tmp_path / "bars.npz"))
    for name in NAMES:
        if name == "diffusion":
            continue
        source = path if name in ("pool", "generator") else None
        api = image_api(name, DOMAIN, source, ImagePoints(DOMAIN, size=8))
        assert api.provenance == provenance_of(name, source)
        assert api.portable == (source is None)
    with pytest.raises(ConfigError, match="not one of"):
        portable_api("pool", DOMAIN)
