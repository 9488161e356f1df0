"""dpsynth/models/merf/recipe.py, recipe.py and fitted.py"""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import dpsynth
from dpsynth.data import Boolean, Category, Domain, ImageDomain, Images, Integer
from dpsynth.data.image.domain import ImageView
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.models.merf.fitted import FittedTableGenerator, image_generator, table_generator
from dpsynth.models.merf.recipe import MERF, NAME, EmbeddingFit
from dpsynth.models.shared.row_vectors import VectorView
from dpsynth.networks.fourier_features import CodeFeatures, ImageFeatures
from dpsynth.networks.generators import GeneratorShape
from dpsynth.privacy.mechanisms.mean_embedding import Embedding
from dpsynth.privacy.noise.random import RandomGenerators
from dpsynth.training.progress import number

INFINITE = dpsynth.Budget(math.inf, 1e-5)
SMALL = MERF(bins=8).replace(
    embedding={"frequencies": 200},
    generator={"hidden": 48},
    training={"steps": 2, "batch_size": 120, "learning_rate": 1e-2},
)

DISTRIBUTION = Domain(
    (
        Category("a", ("p", "q", "r")),
        Integer("b", 0, 5),
        Category("never", ("x", "y")),
        Boolean("label", label=True),
    )
)


def draws(n: int, seed: int = 0) -> Table:
    """b follows a, in opposite ways in the two classes; a quarter of the rows are true; `never` is always x."""
    draw = np.random.default_rng(seed)
    label = draw.random(n) < 0.25
    a = draw.choice(3, n, p=[0.5, 0.3, 0.2])
    b = np.where(label, 5 - 2 * a, 2 * a) - draw.integers(0, 2, n) * np.where(label, 1, -1)
    frame = pd.DataFrame({"a": np.array(["p", "q", "r"])[a], "b": b.clip(0, 5), "never": "x", "label": label})
    return Table(frame, DISTRIBUTION)


@pytest.fixture(scope="module")
def fitted():
    return SMALL.replace(training={"steps": 500}).fit(draws(4000), INFINITE, RandomGenerators(0))


def fractions(frame: pd.DataFrame) -> pd.Series:
    return frame.groupby(["label", "a", "b"]).size() / len(frame)


def test_a_known_distribution_is_learned_without_noise(fitted):
    truth, synthetic = fractions(draws(20_000, 1).frame), fractions(fitted.sample(20_000, seed=0).frame)
    assert truth.sub(synthetic, fill_value=0).abs().sum() / 2 < 0.08


def test_classes_have_their_fractions_and_conditions_their_own_distribution(fitted):
    frame = fitted.sample(8000, seed=0).frame
    assert frame["label"].mean() == pytest.approx(0.25, abs=0.03)
    given = fitted.sample(4000, seed=0, where={"label": True, "a": "p"}).frame
    assert given["label"].all()
    assert (given["a"] == "p").all()
    assert (given["b"] >= 4).mean() > 0.85  # 5 or 4 in this class, 0 or 1 in the other
    assert len(fitted.sample(3, seed=0, where={"never": "y"})) == 3  # nobody had it: still no dead end


def test_the_discrepancy_falls_and_its_estimate_is_unbiased():
    view = VectorView(DISTRIBUTION, 8)
    features = CodeFeatures(view.sizes, [0] * len(view.blocks), 60, 0.3, torch.Generator().manual_seed(0))
    network = table_generator(view, GeneratorShape(4, 16, 1), torch.Generator().manual_seed(0))
    with torch.no_grad():
        distributions = network.draw(torch.arange(2).repeat_interleave(20_000), torch.Generator().manual_seed(3))
        means = features.expected(distributions).unflatten(0, (2, -1)).mean(dim=1).double()
    target = Embedding(torch.tensor([900.0, 100.0]).double(), means * torch.tensor([[900.0], [100.0]]), 0.0, 0.0)
    fit = EmbeddingFit(network, features, target, 8, torch.Generator().manual_seed(1))
    losses = [number(fit.step(t)["loss"]) for t in range(200)]
    # At the truth the mean of the estimate is 0, though every batch of four is far from its mean.
    assert abs(np.mean(losses)) < 4 * np.std(losses) / math.sqrt(len(losses)) + 1e-4

    other = table_generator(view, GeneratorShape(4, 16, 1), torch.Generator().manual_seed(9))
    fit = EmbeddingFit(other, features, target, 64, torch.Generator().manual_seed(1))
    optimizer, path = torch.optim.Adam(other.parameters(), lr=1e-2), []
    for t in range(60):
        path.append(number(fit.step(t)["loss"]))
        optimizer.step()
    assert np.mean(path[-5:]) < 0.2 * path[0]


def two_kinds(n: int, domain: ImageDomain) -> Images:
    """Class 0 is light on the left, class 1 on the right, of any brightness."""
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 2, n)
    pixels = np.zeros((n, 1, 12, 12), np.uint8)
    light = draw.integers(120, 250, n)
    for k in range(n):
        pixels[k, :, :, :5] = light[k] * (labels[k] == 0)
        pixels[k, :, :, 7:] = light[k] * (labels[k] == 1)
    return Images(pixels, labels if domain.classes else None, domain)


def test_images_of_a_class_look_like_it_and_vary():
    domain = ImageDomain(12, 12, classes=("left", "right"))
    fitted = SMALL.replace(training={"steps": 150}).fit(two_kinds(600, domain), INFINITE, RandomGenerators(0))
    left = fitted.sample(100, seed=0, where={"label": "left"}).pixels.astype(float)
    assert left[..., :4].mean() > 100 > 60 > left[..., 8:].mean()
    assert left[..., :4].mean(axis=(1, 2, 3)).std() > 15  # real ones: 38
    assert fitted.label_fractions.tolist() == pytest.approx([0.5, 0.5], abs=0.06)


def test_images_without_classes_and_a_declared_resolution():
    domain = ImageDomain(12, 12, size=6)
    recipe = SMALL
    images = recipe.fit(two_kinds(30, domain), INFINITE, RandomGenerators(0)).sample(4, seed=0)
    assert images.labels is None
    assert images.pixels.shape == (4, 1, 12, 12)
    view = ImageView(domain, 32)
    assert image_generator(view, GeneratorShape(), 0.5).head.shape == (1, 6, 6)


@pytest.mark.parametrize(("neighbours", "sensitivity"), [("add_remove", 1.0), ("replace_one", 2 * math.sqrt(0.95))])
def test_the_plan_is_one_gaussian_release(neighbours, sensitivity):
    plan = MERF().plan(
        ImageDomain(28, 28, classes=tuple("0123456789"), rows=60_000), dpsynth.Budget(1, 1e-5, neighbours)
    )
    (charge,) = plan.charges
    assert charge.name == NAME
    assert charge.detail["sensitivity"] == pytest.approx(sensitivity)
    assert charge.detail["noise_multiplier"] == pytest.approx(3.731, abs=0.002)
    assert plan.settings["features"] == 4000


@pytest.mark.parametrize(
    "domain",
    [
        DISTRIBUTION,
        Domain((Category("a", ("p", "q")),)),
        Domain((Boolean("label", label=True),)),
        Domain((Boolean("x", missing=True), Category("label", ("u", "v"), label=True, missing=True))),
    ],
    ids=["mixed", "one column", "a label alone", "missing label"],
)
def test_features_are_as_many_as_were_planned(domain):
    recipe = SMALL
    view = recipe._view(domain)
    features = recipe._features(view, torch.Generator())
    assert features.width == recipe.plan(domain, INFINITE).settings["features"]
    values = {column.name: column.values[:1] * 6 for column in domain if isinstance(column, Category)}
    frame = pd.DataFrame({column.name: values.get(column.name, [1] * 6) for column in domain})
    budget = dpsynth.Budget(1, 1e-5)
    fitted = recipe.fit(Table(frame, domain), budget)
    assert isinstance(fitted, FittedTableGenerator)
    assert len(fitted.sample(5)) == 5


def test_image_features_are_as_many_as_were_planned():
    recipe, domain = SMALL, ImageDomain(9, 20, channels=3)
    view = recipe._view(domain)
    features = recipe._features(view, torch.Generator())
    assert isinstance(features, ImageFeatures)
    assert features.width == recipe.plan(domain, INFINITE).settings["features"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("training.steps", 0), ("embedding.bandwidths", ()), ("embedding.bandwidths", (0.1, 0.0)),
        ("embedding.frequencies", 3), ("embedding.single_fraction", 1.0), ("embedding.count_weight", 0.0),
        ("generator.waves", 0.0), ("generator.layers", -1), ("training.learning_rate", 0.0),
        ("training.averaging", 1.0),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_name(key, value):
    group, _, name = key.partition(".")
    with pytest.raises(ConfigError, match=rf"^{group}\.{name}="):
        MERF().replace(**{group: {name: value}})


@pytest.mark.slow
def test_mnist_at_epsilon_one():
    from dpsynth.data import sources
    from dpsynth.metrics.image.classifiers import ImageClassifier, classify

    root = Path(__file__).resolve().parents[4] / "shared" / "data" / "mnist"
    if not root.is_dir():
        pytest.skip(f"no MNIST in {root}")
    train = sources.load("mnist", root=root).train
    fitted = MERF().fit(train.head(50_000), dpsynth.Budget(1, 1e-5))
    synthetic, real = fitted.sample(20_000, seed=0), train.take(np.arange(50_000, 60_000))
    scaled = [images.pixels.astype(np.float32) / 255 for images in (synthetic, real)]
    classifier = ImageClassifier(steps=300).train(scaled[0], synthetic.labels, 10)
    assert (classify(classifier, scaled[1]) == real.labels).mean() > 0.85
