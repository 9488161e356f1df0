"""The recipe: what it plans, what it refuses, that it learns a known truth, and that only votes teach the student."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

import dpsynth
from dpsynth.commands.config_files import config_folder
from dpsynth.data import ImageDomain, Images
from dpsynth.data.columns import Category, Integer
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import BudgetError, ConfigError
from dpsynth.models.datalens.fitted import FittedDataLensImages, Student
from dpsynth.models.datalens.image_postprocessing import PostProcessing, histogram_matched, matching_curves
from dpsynth.models.datalens.options import OWN_CHOICES, StudentOptions, TeacherOptions, VoteOptions
from dpsynth.models.datalens.recipe import DataLens
from dpsynth.models.datalens.student import StudentTraining
from dpsynth.networks.discriminators import StackedMLP
from dpsynth.privacy.mechanisms.votes import REFUSED, Votes, cosine_basis
from dpsynth.privacy.noise.random import RandomGenerators
from dpsynth.runs.options import TrainOptions, typed

MNIST = ImageDomain(28, 28, 1, tuple("0123456789"), rows=60_000)
ONE = dpsynth.Budget(1.0, 1e-5)
TINY = DataLens(
    queries=6, rounds=8, teacher=TeacherOptions(rows=2), votes=VoteOptions(frequencies=3),
    student=StudentOptions(steps=15, last_steps=60, width=32),
)  # fmt: skip
CONVOLUTIONS = replace(OWN_CHOICES, discriminator="conv")


def halves(n: int = 200) -> Images:
    """Class 0 is bright on the left, class 1 on the right."""
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 2, n)
    pixels = draw.integers(0, 30, (n, 1, 8, 8))
    pixels[labels == 0, :, :, :4] += 200
    pixels[labels == 1, :, :, 4:] += 200
    return Images(pixels.astype(np.uint8), labels, ImageDomain(8, 8, classes=("left", "right"), rows=n))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"votes": {"compress": "topk_sign", "aggregate": "linear", "k": 8}},
        {"votes": {"compress": "klevel", "levels": 2}},
        {"votes": {"compress": "clip"}, "teacher": {"hidden": 4}, "published": CONVOLUTIONS},
        {"published": replace(OWN_CHOICES, generator="dcgan"), "student": {"width": 16}},
        {
            "published": replace(OWN_CHOICES, keep=True, alike=False, adam_epsilon=1e-8),
            "teacher": {"steps": 2, "focus": 0.0},
        },
    ],
    ids=str,
)
def test_it_learns_a_known_truth_without_noise(changes):
    """B40: epsilon = inf separates a wrong sign from noise."""
    data = halves()
    fitted = TINY.replace(**changes, post_processing={"deformation": 0.0, "spread": 0.05}).fit(
        data, dpsynth.Budget(math.inf, 1e-5)
    )
    sample = fitted.sample(60, seed=0)
    sides = [sample.pixels[sample.labels == code].astype(float) for code in (0, 1)]
    left, right = ([part[..., :4].mean(), part[..., 4:].mean()] for part in sides)
    assert left[0] > left[1] + 60
    assert right[1] > right[0] + 60


def test_the_classifier_knows_classes_and_keeps_its_own():
    data = halves()
    fitted = TINY.replace(rounds=1, post_processing={"spread": 0.6}, classifier={"steps": 40}).fit(
        data, dpsynth.Budget(math.inf, 1e-5)
    )
    assert isinstance(fitted, FittedDataLensImages)
    classifier = fitted.classifier
    assert classifier is not None

    def agreement(images: Images) -> float:
        found = classifier.classes_of(torch.from_numpy(images.pixels).float() / 255).numpy()
        assert images.labels is not None
        return float((found == images.labels).mean())

    kept = agreement(fitted.sample(300, seed=0))
    fitted.classifier = None
    free = agreement(fitted.sample(300, seed=0))
    assert agreement(data) > 0.95
    assert free < 0.95
    assert kept > free + 0.03


def test_without_classes_or_a_fraction_there_is_no_classifier():
    with_classifier = [charge.name for charge in TINY.plan(MNIST, ONE).charges]
    without = [charge.name for charge in TINY.replace(classifier={"fraction": 0.0}).plan(MNIST, ONE).charges]
    assert set(with_classifier) - set(without) == {"class-rejection classifier gradients"}
    unlabelled = ImageDomain(28, 28, rows=60_000, classes=())
    assert [charge.name for charge in TINY.plan(unlabelled, ONE).charges] == without


def test_images_scatter_around_queries_that_stay():
    names = {charge.name for charge in TINY.plan(MNIST, ONE).charges}
    for changes in ({"scatter": {"fraction": 0.0}}, {"published": replace(OWN_CHOICES, fresh=True)}):
        assert names - {charge.name for charge in TINY.replace(**changes).plan(MNIST, ONE).charges} == {"class scatter"}


def test_what_varies_in_a_class_varies_in_its_samples():
    """Images differ in the brightness of their upper half alone, which no blend of a single query would show."""
    draw = np.random.default_rng(0)
    pixels = np.full((300, 1, 8, 8), 100)
    pixels[:, :, :4] += draw.integers(-90, 90, (300, 1, 1, 1))
    data = Images(pixels.astype(np.uint8), np.zeros(300, np.int64), ImageDomain(8, 8, classes=("one",), rows=300))
    recipe = TINY.replace(
        queries=1, post_processing={"spread": 0.0, "deformation": 0.0}, classifier={"fraction": 0.0},
        scatter={"radius": 1.5},
    )  # fmt: skip
    upper = recipe.fit(data, dpsynth.Budget(math.inf, 1e-5)).sample(200, seed=0).pixels[:, 0, :4].mean((1, 2))
    still = recipe.replace(scatter={"fraction": 0.0}).fit(data, dpsynth.Budget(math.inf, 1e-5)).sample(200, seed=0)
    assert 25 < upper.std() < 80  # of the data: 52
    assert still.pixels[:, 0, :4].mean((1, 2)).std() < 5


def test_it_learns_a_table_without_noise():
    draw = np.random.default_rng(0)
    label = draw.integers(0, 2, 300)
    frame = {"kind": np.where(label == 1, "a", "b"), "size": 3 + 4 * label, "label": np.where(label == 1, "yes", "no")}
    columns = (
        Category("kind", categories=("a", "b")),
        Integer("size", low=0, high=9),
        Category("label", categories=("no", "yes"), label=True),
    )
    import pandas as pd

    table = Table(pd.DataFrame(frame), Domain(columns, rows=300))
    sample = TINY.fit(table, dpsynth.Budget(math.inf, 1e-5)).sample(200, seed=0).frame
    right = (sample["kind"] == "a") == (sample["label"] == "yes")
    assert right.mean() > 0.8


def test_projected_votes_are_votes_on_mapped_gradients():
    """Teachers that look through the map see gradients P g, so clipping there is `project` of the pixels' gradient."""
    basis = cosine_basis(6, 6, 1, 3)
    network, generator = StackedMLP(9, 2, 5), torch.Generator().manual_seed(0)
    parameters = [torch.randn(part.shape, generator=generator) for part in network.parameters(4, generator)]
    x, y = torch.randn(3, 36, generator=generator, requires_grad=True), torch.tensor([0, 1, 0])
    inside = network.slopes(parameters, (x @ basis.T).detach(), y)[1]
    rule = Votes(
        name="votes",
        neighbours="add_remove",
        noise_multiplier=1.0,
        teachers=4,
        queries=3,
        width=9,
        compress="project",
        bound=0.4,
    )
    for member in range(4):
        own = [part[member : member + 1] for part in parameters]
        (slope,) = torch.autograd.grad(network.common(own, x @ basis.T, y).sum(), x)
        torch.testing.assert_close(
            rule.vote((slope @ basis.T)[None])[0], rule.vote(inside)[member], rtol=1e-4, atol=1e-5
        )


def test_the_plan_names_its_noise_and_follows_epsilon():
    noises = []
    for epsilon in (0.5, 1.0, 10.0):
        plan = DataLens().plan(MNIST, dpsynth.Budget(epsilon, 1e-5))
        assert plan.proven.epsilon == pytest.approx(epsilon, rel=1e-3)
        assert plan.settings["teacher_parameters"] <= 50_000
        noises.append(plan.method.votes.noise_multiplier)
    assert noises == sorted(noises, reverse=True)
    assert DataLens().plan(MNIST, ONE).settings["queries"] == 50


EXPERIMENTS = {
    "mnist_eps1": (4000, 86, 5000),
    "mnist_eps10": (4000, 109, 800),
    "fashion_mnist_eps1": (4000, 86, 5000),
    "fashion_mnist_eps10": (4000, 146, 1000),
}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_published_settings_keep_their_epsilon_and_show_the_published_figure(name):
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        options = typed(TrainOptions, compose("train", [f"reproduction=datalens_{name}"]))
    recipe, epsilon = options.recipe(), options.privacy.epsilon
    plan = recipe.plan(MNIST, dpsynth.Budget(epsilon, 1e-5))
    assert (plan.settings["teachers"], plan.settings["rounds"], recipe.published.sigma) == EXPERIMENTS[name]
    assert plan.settings["sigma"] == pytest.approx(recipe.published.sigma)
    assert 0.7 * epsilon < plan.proven.epsilon < 0.9 * epsilon
    assert plan.settings["epsilon as published (not the guarantee)"] == pytest.approx(epsilon, rel=0.02)


def test_a_sigma_that_is_too_small_is_refused():
    with pytest.raises(BudgetError):
        DataLens().replace(
            published=replace(OWN_CHOICES, sigma=100), queries=15, votes={"compress": "topk_sign"}, rounds=86
        ).plan(MNIST, ONE)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        *[({"votes": {"compress": name}}, f"votes.compress={name}: refused") for name in REFUSED],
        ({"votes": {"compress": "majority"}}, "choose"),
        ({"published": CONVOLUTIONS}, "clip"),
        ({"published": replace(OWN_CHOICES, sigma=3.0)}, "queries"),
        ({"published": {"sigma": 0.0}}, "published.sigma=0.0: must be above 0"),
        ({"teacher": {"count": 0}}, "teacher.count=0: must be at least 1"),
        ({"teacher": {"hidden": 4000}}, "hidden"),
        ({"published": replace(OWN_CHOICES, accountant="rdp_2017")}, "topk"),
        ({"student": {"momentum": 1.0}}, "student.momentum"),
        ({"classifier": {"fraction": -0.1}}, "classifier.fraction"),
        ({"classifier": {"fraction": 0.98}}, "leave nothing"),
        ({"scatter": {"fraction": 0.8}}, "leave nothing"),
        ({"scatter": {"radius": 0}}, "scatter.radius"),
        ({"classifier": {"tries": 0}}, "classifier.tries"),
        ({"student": {"steepness": 1.0}}, "student: .*steepness"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_with_a_reason(changes, words):
    with pytest.raises(ConfigError, match=words):
        DataLens().replace(**changes).plan(MNIST, ONE)


def student(fresh: bool = False) -> Student:
    shape = {
        "architecture": "mlp",
        "latent": 4,
        "classes": 2,
        "width": 8,
        "shape": [1, 2, 2],
        "heads": [],
        "blend": 0.5,
    }
    codes = torch.randn(0 if fresh else 4, 4, generator=torch.Generator().manual_seed(0))
    return Student.made(shape, codes, torch.arange(len(codes)) % 2, torch.Generator().manual_seed(1))


@pytest.mark.parametrize("fresh", [True, False])
def test_with_the_votes_replayed_the_student_is_the_same_bit_for_bit(fresh):
    votes = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(2))

    def learned() -> list[torch.Tensor]:
        taught = student(fresh)
        student_training = StudentTraining(
            taught, lambda rows: rows.flatten(1), lambda x: x.view(-1, 1, 2, 2), lambda turn, x, y: votes[turn],
            3, 4, 2, fresh, 0.5, 0.5, 1.0, torch.Generator().manual_seed(3), torch.device("cpu"),
        )  # fmt: skip
        optimizer = torch.optim.Adam(taught.network.parameters(), lr=1e-2)
        for t in range(student_training.steps + 2):
            student_training.step(t)
            optimizer.step()
        return [part.detach() for part in taught.network.parameters()]

    assert all(one.equal(two) for one, two in zip(learned(), learned(), strict=True))


@pytest.mark.parametrize("architecture", ["mlp", "dcgan"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 64, 64), (3, 20, 33)])
def test_generators_make_any_size_and_no_sample_depends_on_its_neighbours(architecture, shape):
    made = {
        "architecture": architecture,
        "latent": 5,
        "classes": 3,
        "width": 32,
        "shape": shape,
        "heads": (),
        "blend": 0.5,
    }
    network = Student.made(made, torch.zeros(0, 5), torch.zeros(0, dtype=torch.long), torch.Generator()).network
    z, y = torch.randn(4, 5, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0])
    together = network(z, y)
    assert together.shape == (4, *shape)
    torch.testing.assert_close(network(z[2:3], y[2:3]), together[2:3], rtol=1e-4, atol=1e-5)


def test_tone_curves_give_pixels_the_distribution_of_the_histogram():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(2).repeat_interleave(300)
    images = torch.randn(600, 1, 8, 8, generator=generator) * 0.3 + labels[:, None, None, None]
    histograms = torch.tensor([[60.0, 10.0, 10.0, 20.0], [5.0, -1.0, 90.0, 5.0]])
    done = histogram_matched(images, labels, matching_curves(images, labels, histograms))
    for code, fractions in enumerate(([0.6, 0.1, 0.1, 0.2], [0.05, 0.0, 0.9, 0.05])):
        found = torch.histc(done[labels == code], 4, 0, 1) / done[labels == code].numel()
        torch.testing.assert_close(found, torch.tensor(fractions), atol=0.02, rtol=0)
    flat = done[labels == 0].flatten()
    order = images[labels == 0].flatten().argsort()
    assert bool((flat[order].diff() >= -1e-6).all())  # monotone: no pixel overtakes another


def test_noise_has_the_stated_size_and_no_finish_changes_nothing():
    still, labels = torch.full((64, 1, 16, 16), 0.5), torch.zeros(64, dtype=torch.int64)
    varied = PostProcessing(0.2, 0.0).varied(still, labels, torch.Generator().manual_seed(0))
    assert float((varied - 0.5).square().mean().sqrt()) == pytest.approx(0.2, rel=0.05)
    assert PostProcessing(0.0, 0.0).varied(still, labels, torch.Generator()).equal(still)


def test_seeded_runs_repeat():
    data = halves(60)
    one, two = (TINY.replace(rounds=2).fit(data, ONE, RandomGenerators(3, "seeded")).tensors() for _ in range(2))
    assert all(one[name].equal(two[name]) for name in one)
