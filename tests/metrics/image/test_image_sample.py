import numpy as np
import pytest

from dpsynth.data import ImageDomain, Images
from dpsynth.data.selection import Selection
from dpsynth.data.sources import load
from dpsynth.errors import ConfigError, DataError
from dpsynth.evaluation.suite import Settings, evaluate, evaluate_images
from dpsynth.metrics.framework.comparison import Comparison, Counts
from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.image.classifiers import ImageClassifier, ImageLeNet, ImageLogistic
from dpsynth.metrics.image.distances import ImageSupport, ImageTwoSample
from dpsynth.metrics.image.sample import ImageSample, features, image_sample, units
from dpsynth.reproductions import datalens_classifier
from dpsynth.reproductions.datalens_classifier import DatalensClassifier

FEW = {"image_rows": 80, "image_steps": 4, "costly_replicates": 2, "costly_draws": 2, "datalens_epochs": 1}


@pytest.fixture(scope="module")
def digits():
    source = load("digits", Selection(bytes(32), "replace_one"), holdout=0.3)
    return source.train, source.holdout


def noise(n, channels=1, classes=("a", "b"), seed=0):
    draw = np.random.default_rng(seed)
    domain = ImageDomain(9, 8, channels, classes)
    labels = draw.integers(0, len(classes), n) if classes else None
    return Images(draw.integers(0, 256, (n, *domain.shape)).astype(np.uint8), labels, domain)


def test_features_are_those_of_the_images_however_they_are_taken():
    images = noise(700)
    whole = features(units(images.pixels)).astype(np.float32)
    sample = ImageSample.of(images)
    draw = np.random.default_rng(1)
    for _ in range(3):  # exactly: scores must not depend on what was computed before
        index = draw.integers(0, 700, 300)
        assert np.array_equal(sample.rows(index).head(200).features("random_conv"), whole[index[:200]])


def test_rows_head_and_joined_keep_pixels_and_labels_together():
    images = noise(30)
    sample = ImageSample.of(images)
    index = np.array([5, 3, 3, 29])
    again = ImageSample.joined([sample.rows(index).head(3), sample.head(2)])
    order = [5, 3, 3, 0, 1]
    assert np.array_equal(again.pixels, images.pixels[order])
    assert np.array_equal(again.labels, images.labels[order])
    assert len(sample.head(99)) == 30
    with pytest.raises(DataError, match="no images"):
        ImageSample.of(images.head(0))


def test_independent_images_keep_every_place_and_nothing_else(digits):
    sample = ImageSample.of(digits[0])
    shuffled = sample.independent(len(sample), np.random.default_rng(0))
    before, after = (each.pixels.reshape(len(sample), -1) for each in (sample, shuffled))
    assert np.array_equal(np.sort(before, axis=0), np.sort(after, axis=0))
    assert np.array_equal(np.sort(sample.labels), np.sort(shuffled.labels))
    varied = before.std(axis=0) > 1
    dependence = [np.abs(np.corrcoef(each[:, varied].T)).mean() for each in (before, after)]
    assert dependence[0] > 2 * dependence[1]
    more = sample.independent(3 * len(sample) + 1, np.random.default_rng(0))
    assert len(more) == 3 * len(sample) + 1


def test_noise_fills_all_levels_and_classes():
    made = ImageSample.of(noise(5, channels=3)).uniform(400, np.random.default_rng(0))
    assert made.pixels.shape == (400, 3, 9, 8)
    assert abs(made.units.mean() - 0.5) < 0.01
    assert np.bincount(made.labels).min() > 150


def test_a_table_of_pixels_and_its_images_score_alike(digits):
    table = load("digits", Selection(bytes(32), "replace_one"), form="table", holdout=0.3)
    settings = Settings(families=("image_distances", "image_logistic"), **FEW)
    train, holdout = digits
    images = {score.name: score for score in evaluate_images(train, holdout, train, settings)}
    rows = evaluate(table.train.frame, table.holdout.frame, table.train.frame, table.train.domain, settings)
    for score in rows:
        assert score.value == pytest.approx(images[score.name].value, rel=0.05, abs=1e-4)
        assert score.real_baseline == pytest.approx(images[score.name].real_baseline, rel=0.05, abs=1e-4)


def test_fresh_real_images_are_like_real_and_damaged_ones_are_not(digits):
    train, holdout = digits
    settings = Settings(families=("image_distances", "image_support", "image_two_sample", "image_logistic"), **FEW)
    draw = np.random.default_rng(3)
    half, other = train.split(0.5, bytes([5]) * 32)
    blurred = np.clip(half.pixels // 3 + draw.integers(0, 120, half.pixels.shape), 0, 255).astype(np.uint8)
    bad = Images(blurred, draw.permutation(half.labels), half.domain)
    for evaluated, like in ((half, True), (bad, False)):
        scores = evaluate_images(other, holdout, evaluated, settings)
        described = [score.like_real for score in scores]
        assert len(described) == 8
        assert described.count(like) >= 7, [(score.name, score.value, score.real_baseline) for score in scores]


def test_a_collapsed_model_keeps_precision_and_loses_recall_and_coverage(digits):
    train, holdout = digits
    one = Images(train.pixels[:1].repeat(300, 0), train.labels[:1].repeat(300), train.domain)
    found = {s.name: s.value for s in ImageSupport().measure(ImageSample.of(one), Reference(ImageSample.of(holdout)))}
    assert found["image_precision"] > 0.9
    assert found["image_recall"] < 0.1
    assert found["image_coverage"] < 0.1
    (score,) = ImageTwoSample().measure(ImageSample.of(one), Reference(ImageSample.of(holdout)))
    assert score.value > 0.95


FAMILIES = [ImageLogistic(), DatalensClassifier(2), ImageClassifier(10), ImageLeNet(10)]


@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_classifiers_know_their_baselines_and_the_odd_cases(digits, family):
    real = ImageSample.of(digits[1])
    (score,) = family.measure(ImageSample.of(digits[0]), Reference(real))
    chance = np.bincount(digits[1].labels).max() / len(digits[1])
    assert score.baselines == {"uniform": pytest.approx(chance), "independent": pytest.approx(chance)}
    one = ImageSample.of(digits[0].take(np.flatnonzero(digits[0].labels == 3)))
    (score,) = family.measure(one, Reference(real))
    assert score.value <= chance + 0.05
    bare = ImageSample(real.pixels, None, ImageDomain(8, 8))
    (score,) = family.measure(bare, Reference(bare))
    assert score.reason == "the images have no label"


def test_logistic_regression_learns_digits(digits):
    (score,) = ImageLogistic().measure(ImageSample.of(digits[0]), Reference(ImageSample.of(digits[1])))
    assert score.value > 0.9


def test_the_datalens_classifier_learns_and_says_what_was_published(digits, monkeypatch):
    real = Reference(ImageSample.of(digits[1]))
    (score,) = DatalensClassifier(1).measure(ImageSample.of(digits[0]), real)
    assert (score.detail["epochs"], score.detail["published_epochs"]) == (1, 600)
    assert "best epoch on the test set" in score.meaning
    monkeypatch.setattr(datalens_classifier, "GREY", datalens_classifier.Published(0.2, 32, 12))
    (score,) = DatalensClassifier(99).measure(ImageSample.of(digits[0]), real)  # steps that suit so few images
    assert score.value > 0.8
    assert score.detail["epochs"] == 12
    coloured = ImageSample.of(noise(40, channels=3))
    (score,) = DatalensClassifier(900).measure(coloured.head(4), Reference(coloured))
    assert score.detail["epochs"] == 250
    narrow = ImageSample(coloured.pixels[:, :, :7], coloured.labels, ImageDomain(7, 8, 3, ("a", "b")))
    (score,) = DatalensClassifier(1).measure(narrow, Reference(narrow))
    assert "smaller than 8 x 8" in score.reason


def test_networks_are_trained_as_often_as_is_said(digits):
    train, holdout = (ImageSample.of(each) for each in digits)
    comparison = Comparison.between(train, holdout, [train] * 4)
    for count in (1, 2):
        (score,) = comparison.scores([ImageClassifier(steps=5)], Counts(trainings=count, threads=1))
        assert (score.detail["draws"], score.detail["null_samples"]) == (count, count)
        assert (score.real_baseline_low is None) == (count == 1)


def test_images_are_evaluated_by_image_families_alone(digits):
    train, holdout = digits
    settings = Settings(families=("marginals", "image_logistic", "validity"))
    assert [score.name for score in evaluate_images(train, holdout, train, settings)] == ["image_logistic"]
    with pytest.raises(ConfigError, match="none of these evaluates images; choose from image_distances"):
        evaluate_images(train, holdout, train, Settings(families=("marginals",)))


def test_a_table_without_pixels_says_nothing_on_images(domain, draw):
    scores = evaluate(draw(60, 0), draw(60, 1), draw(60, 2), domain, Settings(families=("columns", "image_logistic")))
    assert not [score for score in scores if score.group == "images"]
    (alone,) = evaluate(draw(60, 0), draw(60, 1), draw(60, 2), domain, Settings(families=("image_logistic",)))
    assert "does not hold images" in alone.reason
    assert image_sample(Sample(draw(5, 0), domain)) is None


@pytest.mark.parametrize("counts", [(60, 40, 1), (1, 40, 30), (60, 1, 30), (2, None, 30), (1, 1, 1)])
def test_odd_numbers_of_images_are_evaluated_without_a_word(digits, counts):
    train, holdout, evaluated = (None if n is None else digits[0].take(np.arange(n) + 7) for n in counts)
    first, second = (evaluate_images(train, holdout, evaluated, Settings(**FEW, threads=threads)) for threads in (1, 2))
    assert [score.to_dict() for score in first] == [score.to_dict() for score in second]
