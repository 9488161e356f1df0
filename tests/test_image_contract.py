"""What every method that makes images must keep, run for every config in configs/model/ of that modality.

The counterpart of test_contract.py.  `SMALL` lowers public settings that only cost time.
"""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import hydra
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

import dpsynth
from dpsynth.data import ImageDomain, Images
from dpsynth.errors import ConfigError
from dpsynth.models.contract.registry import build
from dpsynth.models.contract.synthesizer import Synthesizer
from dpsynth.models.datalens.options import OWN_CHOICES
from dpsynth.privacy.noise.random import RandomGenerators
from dpsynth.privacy.replay import audit
from dpsynth.testing import check_noise, check_replay, example_images
from dpsynth.training import Checkpoint

CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "model"
SMALL: dict[str, dict] = {
    "maf": {
        "images": {"training": {"steps": 3, "batch_size": 40}, "network": {"width": 8}, "classifier": {"steps": 5}},
    },
    "datalens": {
        "rounds": 2, "queries": 6, "teacher": {"count": 6, "at_once": 4, "hidden": 8}, "votes": {"frequencies": 4},
        "student": {"steps": 2, "last_steps": 2, "width": 16}, "classifier": {"steps": 5},
        "published": asdict(replace(OWN_CHOICES, keep=True)),
    },
    "merf": {
        "embedding": {"frequencies": 40}, "generator": {"hidden": 16}, "training": {"steps": 4, "batch_size": 16},
    },
    "mixture": {"clusters": 3, "rounds": 2, "directions": 10, "waves": 6},
    "pe": {"population": 12, "evolution": {"phases": [{"iterations": 2}], "lookahead": 1}},
}  # fmt: skip
RELATIONS = ("add_remove", "replace_one")
TARGETS = [("add_remove", 0.3), ("add_remove", 1.0), ("replace_one", 1.0), ("replace_one", 8.0)]
# Relation, and the rows that the domain declares; replace_one makes the number of rows public, so they are declared.
REPLAYED = [("add_remove", 60), ("add_remove", None), ("replace_one", "all")]
DOMAIN = ImageDomain(8, 8, classes=("disk", "bar", "never"), rows=200)


def recipe_of(model: str) -> Synthesizer:
    config = OmegaConf.merge(OmegaConf.load(CONFIGS / f"{model}.yaml"), SMALL.get(model, {}))
    return build(OmegaConf.to_container(config), Synthesizer, "model")


def modalities(path: Path) -> frozenset[str]:
    return hydra.utils.get_class(OmegaConf.load(path)["_target_"]).modalities


MODELS = sorted(path.stem for path in CONFIGS.glob("*.yaml") if "image" in modalities(path))
TABLES = sorted(path.stem for path in CONFIGS.glob("*.yaml") if "image" not in modalities(path))


def shapes(n: int, domain: ImageDomain = DOMAIN, seed: int = 0) -> Images:
    """n made-up images: disks and bars of any brightness at any place."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, n)
    rows, columns = np.mgrid[: domain.height, : domain.width]
    top, left = draw.uniform(2, domain.height - 3, (2, n, 1, 1))
    inside = np.where(labels[:, None, None] == 0, np.hypot(rows - top, columns - left) < 2.5, abs(rows - top) < 1.5)
    pixels = (inside * draw.integers(100, 256, (n, 1, 1))).astype(np.uint8)[:, None].repeat(domain.channels, 1)
    return Images(pixels, labels if domain.classes else None, domain)


def budget_of(neighbours: str = "add_remove", epsilon: float = 1.0) -> dpsynth.Budget:
    return dpsynth.Budget(epsilon, 1e-5, neighbours)


@pytest.fixture(scope="module", params=MODELS)
def recipe(request):
    return recipe_of(request.param)


@pytest.fixture(scope="module")
def images():
    return shapes(200)


@pytest.fixture(scope="module")
def fitted(recipe, images):
    return recipe.fit(images, budget_of(), RandomGenerators(0))


@pytest.mark.parametrize("model", TABLES)
def test_methods_for_tables_refuse_images_and_say_what_does_not(model):
    with pytest.raises(ConfigError, match="does not make images; model="):
        recipe_of(model).plan(DOMAIN, budget_of())


@pytest.mark.parametrize(("neighbours", "epsilon"), TARGETS)
def test_a_plan_needs_no_data_and_keeps_to_the_budget(recipe, neighbours, epsilon):
    plan = recipe.plan(DOMAIN, budget_of(neighbours, epsilon))
    assert 0.9 * epsilon < plan.proven.epsilon <= epsilon + 1e-9
    assert plan.proven.delta <= 1e-5 * (1 + 1e-9)
    assert plan.memory_bytes > 0
    assert json.dumps(plan.to_dict()) == json.dumps(recipe.plan(DOMAIN, budget_of(neighbours, epsilon)).to_dict())


@pytest.mark.parametrize("neighbours", RELATIONS)
def test_a_fit_spends_what_was_planned(recipe, images, neighbours):
    plan = recipe.plan(images.domain, budget_of(neighbours))
    statement = recipe.fit(images, plan).statement
    assert statement["charges"] == plan.to_dict()["charges"]
    assert statement["finished"]
    assert statement["private"]
    json.dumps(statement, allow_nan=False)


def test_samples_have_the_native_size_and_all_classes_alike(fitted):
    sample = fitted.sample(30, seed=0)
    assert sample.pixels.shape == (30, 1, 8, 8)
    assert sample.domain == DOMAIN
    assert len(np.unique(sample.pixels)) > 1


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_images_are_possible(fitted, n):
    assert len(fitted.sample(n)) == n


def test_the_seed_decides_the_sample(fitted):
    one, same, other = (fitted.sample(40, seed=seed) for seed in (1, 1, 2))
    assert one.content_hash == same.content_hash
    assert one.content_hash != other.content_hash


def test_the_class_can_be_chosen_and_nothing_else(fitted):
    assert (fitted.sample(20, seed=0, where={"label": "bar"}).labels == 1).all()
    with pytest.raises(ConfigError, match="the classes are disk, bar, never"):
        fitted.sample(2, where={"label": "cross"})
    with pytest.raises(ConfigError, match="'label' only"):
        fitted.sample(2, where={"size": 3})


def test_saved_and_loaded_is_the_same_model(fitted, tmp_path):
    fitted.save(tmp_path / "release")
    again = dpsynth.load(tmp_path / "release")
    assert type(again) is type(fitted)
    assert again.statement == fitted.statement
    assert again.sample(60, seed=3).content_hash == fitted.sample(60, seed=3).content_hash


def test_seeded_fits_repeat_and_secure_fits_do_not(recipe, images):
    def learned(noise):
        return {
            name: t.clone() for name, t in recipe.fit(images, budget_of(), RandomGenerators(1, noise)).tensors().items()
        }

    first, again = learned("seeded"), learned("seeded")
    assert all(first[name].equal(again[name]) for name in first)
    first, again = learned("secure"), learned("secure")
    assert not all(first[name].equal(again[name]) for name in first)


def test_a_resumed_fit_is_the_uninterrupted_one(recipe, images, tmp_path):
    first = recipe.fit(images, budget_of(), checkpoint=Checkpoint(tmp_path)).tensors()
    again = recipe.fit(images, budget_of(), checkpoint=Checkpoint(tmp_path)).tensors()
    assert all(first[name].equal(again[name]) for name in first)


def test_infinite_epsilon_runs_and_says_so(recipe, images):
    fitted = recipe.fit(images, budget_of(epsilon=math.inf))
    assert fitted.statement["guarantee"] == "not private: epsilon is infinite"
    assert len(fitted.sample(30, seed=0)) == 30


@pytest.mark.parametrize(
    "domain",
    [
        replace(DOMAIN, classes=()),
        replace(DOMAIN, channels=3, size=4, levels=3),
        replace(DOMAIN, height=6, width=9, rows=None),
    ],
    ids=["no classes", "coloured, coarse", "not square, counted"],
)
def test_any_domain_will_do(recipe, domain):
    fitted = recipe.fit(shapes(60, domain), budget_of())
    assert fitted.sample(7, seed=0).pixels.shape == (7, *domain.shape)


def test_no_image_and_no_exact_count_is_in_the_files(recipe, tmp_path):
    """B32: a planted image must not be found, however it is written. A noisy number may come out as the exact one, but
    not every time."""
    planted = np.random.default_rng(7).integers(0, 256, (1, 1, 8, 8)).astype(np.uint8)
    images = Images(planted.repeat(9_876, 0), np.zeros(9_876, dtype=np.int64), DOMAIN)
    scaled = planted.astype(np.float32) / 255

    def counted(turn: int) -> bool:
        folder = tmp_path / f"release-{turn}"
        recipe.fit(images, budget_of()).save(folder)
        content = b"".join(path.read_bytes() for path in folder.iterdir())
        for trace in (planted.tobytes(), scaled.tobytes(), scaled[0, 0, 0].tobytes(), planted[0, 0, 0].tobytes()):
            assert trace not in content
        return b"9876" in content

    assert not all(counted(turn) for turn in range(4))


@pytest.mark.parametrize("neighbours", RELATIONS)
def test_what_is_drawn_is_what_is_charged(recipe, neighbours):
    check_noise(recipe, example_images(60), budget_of(neighbours))


@pytest.mark.parametrize("epsilon", [1.0, 100.0])
@pytest.mark.parametrize("neighbours", RELATIONS)
def test_replay_without_the_first_the_middle_and_the_last_image(recipe, neighbours, epsilon):
    check_replay(recipe, example_images(60), budget_of(neighbours, epsilon))


EXTREME = st.sampled_from([0, 255])
IMAGE = st.tuples(st.integers(0, 2**32 - 1), EXTREME, st.integers(0, 2))
# Few sizes, because every number of images that is public has a plan of its own.
IMAGES = st.sampled_from([0, 1, 8]).flatmap(lambda n: st.lists(IMAGE, min_size=n, max_size=n))


def drawn(records: list[tuple[int, int, int]], domain: ImageDomain) -> Images:
    """Images of random pixels, some of them cut to black and white, with labels."""
    pixels = np.empty((len(records), 1, 8, 8), dtype=np.uint8)
    for i, (seed, extreme, _) in enumerate(records):
        noise = np.random.default_rng(seed).integers(0, 256, (1, 8, 8))
        pixels[i] = np.where(noise > 128, 255, 0) if extreme else noise
    return Images(pixels, np.array([record[2] for record in records], dtype=np.int64), domain)


@pytest.mark.parametrize(("neighbours", "rows"), REPLAYED)
@given(base=IMAGES, extra=IMAGE, other=IMAGE)
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
def test_replay_on_neighbouring_images(recipe, neighbours, rows, base, extra, other):
    """Same control flow, every query within its sensitivity, bit-identical post-processing."""
    first = [*base, extra]
    second = base if neighbours == "add_remove" else [*base, other]
    if neighbours == "replace_one":
        rows = len(first)
    domain = replace(DOMAIN, rows=rows)
    plan = recipe.plan(domain, budget_of(neighbours))

    def publish(images, randomness):
        fitted = recipe.fit(images, plan, randomness)
        sample = fitted.sample(5, seed=0)
        return fitted.config(), fitted.tensors(), sample.pixels, sample.labels, json.dumps(fitted.statement)

    audit(publish, drawn(first, domain), drawn(second, domain))
    if neighbours == "add_remove":  # and the other way round: an image that comes
        audit(publish, drawn(second, domain), drawn(first, domain))
