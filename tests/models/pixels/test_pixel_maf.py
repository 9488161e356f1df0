"""maf on images: known truth without noise, all settings, and images of any make."""

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import dpsynth
from dpsynth.data import ImageDomain, Images, sources
from dpsynth.data.selection import Selection
from dpsynth.errors import ConfigError
from dpsynth.models import MAF, PixelMAF
from dpsynth.models.contract.registry import build
from dpsynth.models.contract.synthesizer import Synthesizer
from dpsynth.models.pixels.recipe import PixelNetworkOptions
from dpsynth.models.shared.class_rejection import ClassifierOptions, RejectionClassifier
from dpsynth.models.shared.dp_training import DPTrainingOptions
from dpsynth.privacy import RandomGenerators

INFINITE = dpsynth.Budget(math.inf, 1e-5)
SMALL = PixelMAF(
    network=PixelNetworkOptions(width=6, hidden=16),
    training=DPTrainingOptions(steps=3, batch_size=40),
    classifier=ClassifierOptions(steps=4),
)


def fitted(recipe, images, budget=INFINITE):
    return recipe.fit(images, budget, RandomGenerators(0, "seeded"))


def crosswise(n, seed=0):
    """2 x 3 images of two levels whose last place is an exclusive or of two others: no table of neighbours holds it.

    The other places are even coins; class 1 turns the last place round.
    """
    draw = np.random.default_rng(seed)
    labels, codes = draw.integers(2, size=n), draw.integers(2, size=(n, 2, 3))
    flips = draw.random(n) < 0.1
    codes[:, 1, 2] = codes[:, 0, 0] ^ codes[:, 1, 0] ^ labels ^ flips
    domain = ImageDomain(2, 3, classes=("plain", "turned"), rows=n, size=3, levels=2)
    return Images((codes[:, None] * 255).astype(np.uint8), labels, domain)


@pytest.mark.parametrize("network", ["conv", "dense"])
def test_without_noise_a_known_distribution_is_recovered(network):
    images = crosswise(4000)
    recipe = PixelMAF(
        network=PixelNetworkOptions(kind=network, width=16, hidden=48, layers=1),
        training=DPTrainingOptions(steps=200, batch_size=128, learning_rate=2e-2),
        classifier=ClassifierOptions(fraction=0),
    )
    model = fitted(recipe, images)
    every = np.array(list(itertools.product([0, 255], repeat=6)), dtype=np.uint8).reshape(-1, 1, 2, 3)
    for label in (0, 1):
        x = every[:, 0] > 0
        agrees = (x[:, 0, 0] ^ x[:, 1, 0] ^ bool(label)) == x[:, 1, 2]
        truth = np.where(agrees, 0.9, 0.1) / 32
        found = np.exp(model.log_density(Images(every, np.full(64, label), images.domain)))
        assert found.sum() == pytest.approx(1, abs=1e-4)
        assert 0.5 * np.abs(found - truth).sum() < 0.1  # 0.4 without the network


def test_samples_follow_the_density():
    images = crosswise(1000)
    model = fitted(SMALL.replace(classifier={"fraction": 0.0}), images)
    sample = model.sample(20_000, seed=0, where={"label": "turned"})
    codes = (sample.pixels.reshape(-1, 6) > 0) @ (2 ** np.arange(5, -1, -1))
    every = np.array(list(itertools.product([0, 255], repeat=6)), dtype=np.uint8).reshape(-1, 1, 2, 3)
    distribution = np.exp(model.log_density(Images(every, np.ones(64, dtype=np.int64), images.domain)))
    assert 0.5 * np.abs(np.bincount(codes, minlength=64) / 20_000 - distribution).sum() < 0.04


def test_the_classifier_refuses_draws_of_other_classes():
    images = sources.load("digits", Selection(bytes(32))).train
    model = fitted(SMALL.replace(training={"steps": 1}, classifier={"steps": 60}, temperature=1.0), images)
    kept = model.sample(300, seed=0)
    model.classifier, classifier = None, model.classifier
    free = model.sample(300, seed=0)

    def agreement(sample):
        units = torch.from_numpy(model.view.units(sample.pixels))
        return float((classifier.classes_of(units).numpy() == sample.labels).mean())

    assert agreement(kept) > agreement(free) + 0.05
    assert model.classifier is None
    units = torch.from_numpy(model.view.units(images.pixels))
    assert float((classifier.classes_of(units).numpy() == images.labels).mean()) > 0.7


def test_a_classifier_without_images_prefers_no_class():
    classifier = RejectionClassifier((1, 8, 8), 3)
    losses = classifier(torch.randn(4, classifier.linear.in_features), torch.tensor([0, 1, 2, 0]))
    torch.testing.assert_close(losses, torch.full((4,), math.log(3)))
    assert classifier.classes_of(torch.zeros(0, 1, 8, 8)).shape == (0,)


@pytest.mark.parametrize("tries", [1, 3])
def test_only_refused_draws_are_drawn_again_and_the_last_stays(tries):
    classifier, turns = (
        RejectionClassifier((1, 4, 4), 3),
        [],
    )  # a classifier that learned nothing counts all to the first class

    def draw(labels):
        turns.append(labels.tolist())
        return torch.full((len(labels), 1, 4, 4), float(len(turns)))

    kept = classifier.kept(draw, lambda images: images / tries, torch.tensor([0, 2, 0, 1]), tries)
    assert turns == [[0, 2, 0, 1], *[[2, 1]] * (tries - 1)]
    assert kept[:, 0, 0, 0].tolist() == [1, tries, 1, tries]


def test_what_the_domain_declares_wins_over_the_recipe():
    images = sources.load("digits", Selection(bytes(32))).train
    recipe = replace(SMALL, size=4, levels=2)
    assert recipe.plan(images.domain, INFINITE).settings["levels"] == 17  # declared by the digits
    coarse = images.redeclare(replace(images.domain, size=6, levels=3))
    settings = recipe.plan(coarse.domain, INFINITE).settings
    assert (settings["size"], settings["levels"]) == (6, 3)
    assert fitted(recipe, coarse).sample(3, seed=0).pixels.shape == (3, 1, 8, 8)


def test_the_finer_scale_is_taken_where_noise_leaves_room_for_it():
    domain = ImageDomain(28, 28, classes=tuple("0123456789"), rows=60_000)

    def scale(epsilon: float, **wished: Any) -> tuple[int, ...]:
        plan = PixelMAF().replace(**wished).plan(domain, dpsynth.Budget(epsilon, 1e-5))
        return plan.settings["size"], plan.settings["channels"], plan.method.sgd.releases

    scales = [scale(epsilon) for epsilon in (0.5, 1, 10, math.inf)]
    assert scales == [(14, 32, 800)] * 2 + [(20, 64, 1200)] * 2
    assert scale(1, size=16) == (16, 32, 800)
    assert scale(10, size=16, network={"width": 8}) == (16, 8, 1200)


def test_maf_hands_images_over_and_keeps_tables():
    recipe = MAF(images=SMALL)
    images = crosswise(200)
    assert recipe.plan(images.domain, INFINITE).charges == SMALL.plan(images.domain, INFINITE).charges
    one, two = (fitted(r, images).tensors() for r in (recipe, SMALL))
    assert all(one[name].equal(two[name]) for name in two)


def test_microbatches_leave_the_model():
    images = crosswise(300)
    one, two = (fitted(SMALL.replace(training={"microbatch_size": size}), images).tensors() for size in (None, 7))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("gradients", ["functorch", "hooks", "loop"])
def test_engines_agree(gradients):
    images = crosswise(60)
    recipe = SMALL.replace(training={"steps": 2, "batch_size": 8}, network={"layers": 2, "reach": 1})
    one, two = (
        fitted(recipe.replace(training={"gradients": engine}), images).tensors() for engine in ("fused", gradients)
    )
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], rtol=1e-3, atol=1e-4)


MISTAKES = [
    ("size", {"size": 0}), ("levels", {"levels": 1}), ("levels", {"levels": 300}),
    ("network.kind", {"network": {"kind": "deep"}}), ("table_fraction", {"table_fraction": 0.0}),
    ("classifier.fraction", {"classifier": {"fraction": -0.1}}),
    ("classifier.fraction", {"table_fraction": 0.6, "classifier": {"fraction": 0.4}}),
    ("classifier.tries", {"classifier": {"tries": 0}}), ("temperature", {"temperature": 0.0}),
    ("network.above", {"network": {"above": -1}}), ("training.steps", {"training": {"steps": 0}}),
    ("training.clipping_norm", {"training": {"clipping_norm": 0.0}}),
]  # fmt: skip


@pytest.mark.parametrize(("option", "mistake"), MISTAKES, ids=str)
def test_mistakes_are_named(option, mistake):
    config = {"_target_": "dpsynth.models.MAF", "images": mistake}
    with pytest.raises(ConfigError, match=f"model.images.*{option}"):
        build(config, Synthesizer, "model")


def test_images_of_another_make_have_no_density():
    model = fitted(SMALL, crosswise(50))
    with pytest.raises(ConfigError, match="another size"):
        model.log_density(sources.load("digits", Selection(bytes(32))).train)
