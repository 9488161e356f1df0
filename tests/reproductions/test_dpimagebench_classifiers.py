"""DPImageBench's protocol: what is learnt from, what is kept, which epoch is tested, and the average of the weights."""

import numpy as np
import pytest
import torch

from dpsynth.data.image.domain import ImageDomain
from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.image.classifiers import LearningTask
from dpsynth.metrics.image.evaluation_networks import small_cnn
from dpsynth.metrics.image.sample import ImageSample
from dpsynth.reproductions import dpimagebench_classifiers as bench
from dpsynth.reproductions.dpimagebench_classifiers import DPImageBenchClassifiers


def halves(rows, seed):
    """Images of 8 x 8 of two classes: bright above, or bright below; noise everywhere."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, rows)
    pixels = generator.integers(0, 120, (rows, 1, 8, 8))
    for label in (0, 1):
        pixels[labels == label, :, 4 * label : 4 * label + 4] += 100
    return ImageSample(pixels.astype(np.uint8), labels, ImageDomain(8, 8, classes=("above", "below")))


@pytest.fixture
def shallow(monkeypatch):
    """The protocol with a network of a few layers in the place of each."""
    for name in bench.NETWORKS:
        monkeypatch.setitem(bench.NETWORKS, name, small_cnn)


def test_three_networks_learn_and_their_mean_is_the_score(shallow):
    (score,) = DPImageBenchClassifiers(epochs=5).measure(halves(240, 0), Reference(halves(100, 1)))
    assert score.value > 0.9
    assert set(score.parts) == {"resnet", "wrn", "resnext"}
    assert score.value == pytest.approx(np.mean(list(score.parts.values())))
    assert (score.detail["epochs"], score.detail["published_epochs"]) == (5, 50)
    few = DPImageBenchClassifiers(networks=("wrn",), epochs=1)
    assert few.measure(halves(240, 0), Reference(halves(100, 1))) == few.measure(
        halves(240, 0), Reference(halves(100, 1))
    )


def test_the_epoch_is_chosen_on_kept_synthetic_images_and_never_on_real_ones(monkeypatch):
    """Real images with other labels change neither the choice nor the classes that are named."""
    asked = []
    named = bench._named
    monkeypatch.setattr(bench, "_named", lambda model, images: (asked.append(len(images)), named(model, images))[1])
    monkeypatch.setitem(bench.NETWORKS, "wrn", small_cnn)
    drawn, real = halves(240, 0), halves(100, 1)
    task = LearningTask.of(drawn, Reference(real))
    flipped = LearningTask(task.images, task.labels, task.tested, 1 - task.truth, task.classes)
    measured = DPImageBenchClassifiers(epochs=4, networks=("wrn",))
    first, second = (measured.classified("wrn", each) for each in (task, flipped))
    np.testing.assert_array_equal(first, second)
    assert asked == [20, 20, 20, 20, 100] * 2  # a twelfth after every epoch, the real ones once at the end


def test_too_few_images_are_named():
    (score,) = DPImageBenchClassifiers().measure(halves(11, 0), Reference(halves(20, 1)))
    assert score.value is None
    assert "12" in score.reason


def test_the_average_follows_the_weights_and_takes_the_statistics():
    models = [bench.NETWORKS["wrn"]((1, 8, 8), 2, torch.Generator().manual_seed(k), 1) for k in (0, 1)]
    models[1](torch.rand(4, 1, 8, 8))
    before = [each.clone() for each in models[0].parameters()]
    bench._average(*models, 0.75)
    for mean, old, new in zip(models[0].parameters(), before, models[1].parameters(), strict=True):
        torch.testing.assert_close(mean, 0.75 * old + 0.25 * new)
    assert all(map(torch.equal, models[0].buffers(), models[1].buffers()))
