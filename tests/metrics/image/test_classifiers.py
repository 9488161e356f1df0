import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dpsynth.data.selection import Selection
from dpsynth.data.sources import load
from dpsynth.data.table.domain import Domain
from dpsynth.errors import ConfigError
from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.image.classifiers import ImageClassifier, ImageLeNet
from dpsynth.metrics.image.distances import ImageDistances, frechet_distance, kernel_distance
from dpsynth.metrics.image.sample import check_network, features, image_sample, image_shape

SHORT = ImageClassifier(steps=120, batch=64)


@pytest.fixture(scope="module")
def digits():
    source = load("digits", Selection(bytes(32)), form="table", holdout=0.3)
    return source.train.frame, source.holdout.frame, source.train.domain


def test_images_are_the_pixels_in_their_places(digits):
    train, _, domain = digits
    shuffled = Domain(tuple(reversed(domain.columns)), domain.constraints)
    for each in (domain, shuffled):
        sample = Sample(train, each)
        assert image_shape(each) == (8, 8)
        images = image_sample(sample)
        assert images.units.shape == (len(train), 1, 8, 8)
        at = images.units[:, 0, 3, 5] * 16
        assert np.abs(at - train["pixel_3_5"].to_numpy()).max() < 0.6
        assert 0 <= images.units.min() <= images.units.max() <= 1
        np.testing.assert_array_equal(images.labels, train["digit"].astype(int))


def test_other_tables_are_no_images(domain, draw):
    assert image_shape(domain) is None
    for family in (ImageDistances(), SHORT):
        sample = Sample(draw(20, 0), domain)
        assert all(score.value is None for score in family.measure(sample, Reference(sample)))


def test_distances_agree_with_their_definitions():
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(4000, 3)), 2 * generator.normal(size=(4000, 3)) + [1, 0, 0]
    assert frechet_distance(a, b) == pytest.approx(1 + 3, abs=0.3)  # |m - m'|^2 + sum (s - s')^2
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-8)
    halves = [kernel_distance(*np.split(generator.normal(size=(400, 5)), 2)) for _ in range(60)]
    assert abs(np.mean(halves)) < 3 * np.std(halves) / 60**0.5  # unbiased: zero on average for one distribution


def test_distances_agree_with_torchmetrics():
    image = pytest.importorskip("torchmetrics.image.fid")
    generator = np.random.default_rng(0)
    a, b = generator.random((60, 4)).astype(np.float32), generator.random((60, 4)).astype(np.float32) ** 2

    class Pass(torch.nn.Module):
        num_features = 4

        def forward(self, x):
            return x.flatten(1)

    theirs = image.FrechetInceptionDistance(feature=Pass(), normalize=True, input_img_size=(1, 2, 2))
    theirs.set_dtype(torch.float64)
    for x, real in ((a, True), (b, False)):
        theirs.update(torch.from_numpy(x).double().reshape(-1, 1, 2, 2), real=real)
    assert frechet_distance(a.astype(float), b.astype(float)) == pytest.approx(float(theirs.compute()), rel=1e-4)


def test_planted_damage_is_seen(digits):
    train, holdout, domain = digits
    reference = Reference(Sample(holdout, domain))
    blank = train.copy()
    blank[[name for name in train if name.startswith("pixel_4")]] = 0
    dropped = train[train["digit"].astype(int) < 5]
    real, blanked, half = (
        {score.name: score for score in ImageDistances().measure(Sample(each, domain), reference)}
        for each in (train, blank, dropped)
    )
    for name in ("image_frechet", "image_kernel"):
        assert blanked[name].value > 5 * abs(real[name].value)
        assert half[name].value > 2 * abs(real[name].value)
        assert "random convolutions" in real[name].meaning


@pytest.mark.parametrize("classifier", [SHORT, ImageLeNet(steps=150, batch=64)], ids=lambda each: each.name)
def test_classifier_learns_from_real_and_not_from_wrongly_labelled_images(digits, classifier):
    train, holdout, domain = digits
    reference = Reference(Sample(holdout, domain))
    wrong = train.assign(digit=train["digit"].sample(frac=1, random_state=0).to_numpy())
    (right,) = classifier.measure(Sample(train, domain), reference)
    (mixed,) = classifier.measure(Sample(wrong, domain), reference)
    assert right.value > 0.9
    assert mixed.value < 0.4
    assert classifier.measure(Sample(train, domain), reference)[0] == right
    assert right.name == classifier.name


def test_features_do_not_depend_on_their_batch_or_on_global_randomness():
    images = np.random.default_rng(0).random((700, 1, 12, 12), dtype=np.float32)
    torch.manual_seed(1)
    whole = features(images)
    assert whole.shape == (700, 128)
    np.testing.assert_allclose(features(images[:3]), whole[:3], rtol=1e-4, atol=1e-6)


def test_a_network_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        check_network("nowhere.safetensors")
    wrong = tmp_path / "wrong.safetensors"
    save_file({"a": torch.zeros(1)}, wrong)
    check_network(str(wrong))
    with pytest.raises(ConfigError, match="inception_v3"):
        features(np.zeros((1, 1, 8, 8), dtype=np.float32), str(wrong))


@pytest.mark.slow
def test_inception_from_a_local_file(tmp_path):
    from torchvision.models import inception_v3

    path = tmp_path / "inception.safetensors"
    save_file(inception_v3(weights=None, init_weights=False).state_dict(), path)
    assert features(np.zeros((2, 1, 8, 8), dtype=np.float32), str(path)).shape == (2, 2048)
