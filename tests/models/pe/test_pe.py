"""The recipe: T releases, sizes by the rule, no private row for the API, known truths, and what the log says."""

import logging
import math

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

import dpsynth
from dpsynth.data import Category, Domain, ImageDomain, Images, Integer, Table
from dpsynth.errors import ConfigError
from dpsynth.models import MST, PE
from dpsynth.models.pe.api import Batch, PEApi, Provenance
from dpsynth.models.pe.fitted import History
from dpsynth.models.pe.recipe import CLASSES, PROPOSAL_MODELS, VOTES, proposal_recipe
from dpsynth.privacy import RandomGenerators
from dpsynth.privacy.accounting.budget import count_sensitivity
from dpsynth.privacy.accounting.events import leaves

FEW = [{"iterations": 1}, {"iterations": 2, "selection": "rank", "variations": 2, "keep": True}]
SMALL = PE().replace(evolution={"phases": FEW}, proposal={"rows": 300}, pool={"variants": 100})
BUDGET = dpsynth.Budget(1.0, 1e-5)
PICTURES = ImageDomain(8, 8, classes=("dark", "light"), rows=300)


def pictures(n: int = 300, domain: ImageDomain = PICTURES) -> Images:
    draw, labels = np.random.default_rng(0), np.arange(n) % 2
    pixels = draw.integers(0, 60, (n, *domain.shape)) + 180 * labels[:, None, None, None]
    return Images(pixels.astype(np.uint8), labels, domain)


@pytest.mark.parametrize("neighbours", ["add_remove", "replace_one"])
@pytest.mark.parametrize("proposal_model", [None, "independent", "mst"])
def test_there_are_t_releases_and_sigma_t_and_epsilon_agree(people, neighbours, proposal_model):
    budget = dpsynth.Budget(1.0, 1e-5, neighbours)
    recipe = SMALL.replace(proposal={"model": proposal_model}, labels={"prior": "uniform"})
    plan = recipe.plan(people.domain, budget)
    votes = next(charge for charge in plan.charges if charge.name == VOTES)
    assert sum(count for _, count in leaves(votes.event)) == 3
    assert votes.deviation == plan.settings["vote_noise"] > 0
    assert votes.deviation == pytest.approx(votes.noise_multiplier * count_sensitivity(neighbours))
    if proposal_model is None:
        assert votes.noise_multiplier == pytest.approx(3.7306 * math.sqrt(3), rel=1e-3)
        assert plan.charges == (votes,)
    assert recipe.fit(people, plan).statement["finished"]


def test_members_get_twice_their_noise_on_average(people):
    recipe = SMALL.replace(proposal={"model": None}, labels={"prior": "uniform"})
    domain = Domain(people.domain.columns, people.domain.constraints, rows=30_000)
    settings = recipe.plan(domain, BUDGET).settings
    assert settings["members"] == pytest.approx(30_000 / (2 * settings["vote_noise"]), abs=1)
    assert recipe.replace(population=77).plan(domain, BUDGET).settings["members"] == 77


class Recorder:
    """A table API that keeps every batch it is handed, and counts what it made itself."""

    modality, provenance, portable = "table", Provenance("simulator", "recorder"), True

    def __init__(self, view_of):
        self.inner, self.handed, self.made = view_of, [], []

    def random(self, labels, generator):
        self.made.append(self.inner.random(labels, generator))
        return self.made[-1]

    def variation(self, batch, degree, generator):
        self.handed.append(batch)
        self.made.append(self.inner.variation(batch, degree, generator))
        return self.made[-1]


def test_the_api_never_receives_a_private_row():
    """Private rows carry a code that the API never draws: it must not be in any batch it is handed."""
    from dpsynth.models.pe.table_api import TablePerturbation, TableView

    domain = Domain((Integer("code", 0, 10**9), Category("label", ("a", "b"), label=True)), rows=500)
    secret = Table(pd.DataFrame({"code": [41_713_907] * 500, "label": ["a", "b"] * 250}), domain)
    view = TableView(domain)
    api = Recorder(TablePerturbation(view))
    assert isinstance(api, PEApi)
    recipe = SMALL.replace(api=api, proposal={"model": None}, pool={"variants": 50})
    fitted = recipe.fit(secret, BUDGET)
    private = view.batch(secret.frame).genes["units"][0, 0]
    made = {row.tobytes() for batch in api.made for row in batch.genes["units"]}
    assert api.handed
    for batch in api.handed:
        assert not np.isclose(batch.genes["units"][:, 0], private, atol=1e-9, rtol=0).any()
        assert {row.tobytes() for row in batch.genes["units"]} <= made
    assert fitted.config()["provenance"] == "simulator: recorder"
    assert fitted.statement["charges"][-1]["detail"]["provenance"] == "simulator: recorder"


def test_no_exact_votes_are_saved(people, tmp_path):
    """Counts of an evolution are whole numbers; whatever is saved is noisy or follows from noise."""
    SMALL.fit(people, BUDGET).save(tmp_path / "release")
    names = load_file(tmp_path / "release" / "model.safetensors")
    assert set(names) == {
        "population.labels",
        "population.genes.codes",
        "population.genes.units",
        "weights",
        "label_fractions",
    }
    weights = names["weights"].numpy() * len(people)
    assert not np.isclose(weights, np.rint(weights)).all()


def test_without_noise_rows_come_to_lie_where_the_private_ones_are():
    domain = Domain((Integer("x", 0, 100), Integer("y", 0, 100), Category("label", ("a", "b"), label=True)), rows=1000)
    draw = np.random.default_rng(0)
    labels = draw.random(1000) < 0.3
    x = np.clip(np.where(labels, 80, 20) + draw.normal(0, 3, 1000), 0, 100).round().astype(int)
    table = Table(pd.DataFrame({"x": x, "y": 100 - x, "label": np.where(labels, "b", "a")}), domain)
    budget = dpsynth.Budget(math.inf, 1e-5)
    phases = [{"iterations": 4}, {"iterations": 6, "selection": "rank", "keep": True}]
    recipe = PE().replace(
        population=60, proposal={"model": None}, pool={"variants": 500, "degree": 0.02}, evolution={"phases": phases}
    )
    frame = recipe.fit(table, budget).sample(1000, seed=0).frame
    for label, centre in (("a", 20), ("b", 80)):
        mine = frame[frame["label"] == label]
        assert abs(mine["x"].mean() - centre) < 4
        assert abs(mine["y"].mean() - (100 - centre)) < 4
    assert (frame["label"] == "b").mean() == pytest.approx(labels.mean(), abs=0.05)


def test_quality_rises_with_epsilon():
    """On a toy problem: the mean distance to the truth falls, by far, from almost no budget to much."""
    domain = Domain((Integer("x", 0, 1000), Category("label", ("a",), label=True)), rows=2000)
    table = Table(pd.DataFrame({"x": np.random.default_rng(0).integers(300, 320, 2000), "label": "a"}), domain)
    recipe = PE().replace(
        population=30, proposal={"model": None}, pool={"variants": 200, "degree": 0.0},
        evolution={"phases": [{"iterations": 5}]},
    )  # fmt: skip
    off = [
        abs(
            recipe.fit(table, dpsynth.Budget(epsilon, 1e-5), RandomGenerators(1)).sample(300, seed=0).frame["x"] - 310
        ).mean()
        for epsilon in (0.01, 0.3, 50.0)
    ]
    assert off[1] < off[0]
    assert off[2] < off[1] + 15
    assert off[2] < 40


@pytest.mark.parametrize("prior", ["uniform", "public", "private"])
def test_classes_have_the_fractions_that_the_prior_says(prior):
    images = pictures().take(np.flatnonzero(np.arange(300) % 6))  # 2 dark : 3 light
    fractions = [0.9, 0.1] if prior == "public" else None
    recipe = PE().replace(
        evolution={"phases": [{"iterations": 1}], "lookahead": 0}, labels={"prior": prior, "fractions": fractions},
        population=20,
    )  # fmt: skip
    plan = recipe.plan(images.domain, dpsynth.Budget(20.0, 1e-5))
    assert any(charge.name == CLASSES for charge in plan.charges) == (prior == "private")
    fitted = recipe.fit(images, plan)
    expected = {"uniform": 0.5, "public": 0.9, "private": 0.4}[prior]
    assert fitted.label_fractions[0] == pytest.approx(expected, abs=0.05)
    assert (fitted.sample(200, seed=0).labels == 0).mean() == pytest.approx(expected, abs=0.06)


def test_pools_and_their_variations_are_kept_in_the_model(tmp_path):
    """An API with files of its own makes variations once; the saved model needs them no more."""
    path = pictures(80).write(tmp_path / "public.npz")
    recipe = PE(api="pool", source=str(path), population=10, copies=2)
    recipe = recipe.replace(evolution={"phases": [{"iterations": 2}], "lookahead": 0})
    assert recipe.plan(PICTURES, BUDGET).charges[-1].detail["provenance"] == "public_data: public.npz"
    fitted = recipe.fit(pictures(), BUDGET)
    fitted.save(tmp_path / "release")
    path.unlink()
    again = dpsynth.load(tmp_path / "release")
    assert again.sample(30, seed=1).content_hash == fitted.sample(30, seed=1).content_hash
    assert len(again.population.members) % 3 == 0
    assert again.provenance == "public_data: public.npz"


def test_the_history_shows_every_iteration():
    recipe = PE(population=10).replace(evolution={"phases": [{"iterations": 3}], "lookahead": 0})
    fitted = recipe.fit(pictures(), BUDGET)
    assert fitted.history.shape == (3, 2, 10, 1, 8, 8)
    assert (fitted.history.std(axis=(3, 4, 5))[:, :, 0] > 0).all()


def test_the_history_spreads_over_the_order_of_votes():
    history, levels = History(2, PICTURES), np.arange(40)  # in the order of their votes, classes in turn
    pixels = np.broadcast_to(levels[:, None, None, None], (40, *PICTURES.shape)).astype(np.uint8)
    history.add(0, Batch(levels % 2, {"pixels": pixels}))
    np.testing.assert_array_equal(history.pictures[0, :, :, 0, 0, 0], [np.arange(0, 40, 4), np.arange(1, 40, 4)])
    history.add(1, Batch(np.array([0, 0]), {"pixels": pixels[5:7]}))
    np.testing.assert_array_equal(history.pictures[1, :, :3, 0, 0, 0], [[5, 6, 0], [0, 0, 0]])


def test_the_log_names_what_counts_and_warns_of_noise(people, caplog):
    with caplog.at_level(logging.INFO, "dpsynth.models.pe.recipe"):
        SMALL.fit(people, BUDGET)
        assert "none; add_remove; T = 3; noise of a vote" in caplog.text
        caplog.clear()
        SMALL.replace(population=300).fit(people, BUDGET)
        assert "fewer members" in caplog.text


def test_a_seed_is_a_name_or_a_recipe_of_tables():
    assert proposal_recipe(None) is None
    for name, kind in PROPOSAL_MODELS.items():
        assert isinstance(proposal_recipe(name), kind)
    own = MST(cells=8)
    assert proposal_recipe(own) is own
    for wrong in ("merf2", 3, {"bins": 3}):
        with pytest.raises(ConfigError, match=r"model\.proposal\.model"):
            proposal_recipe(wrong)


class Painter:
    modality, provenance, portable = "image", Provenance("none"), True

    def random(self, labels, generator):
        return Batch(labels, {"pixels": np.zeros((len(labels), 1, 8, 8), dtype=np.uint8)})

    def variation(self, batch, degree, generator):
        return batch


@pytest.mark.parametrize(
    ("fields", "given", "word"),
    [
        ({"proposal": {"fraction": 1.0}}, None, "proposal.fraction"),
        ({"proposal": {"model": PE()}}, None, "propose to itself"),
        ({"evolution": {"nearest": 0}}, None, "evolution.nearest"),
        ({"evolution": {"degrees": {"first": 2.0}}}, None, "evolution.degrees.first"),
        ({"pool": {"crossover": 2}}, None, "pool.crossover"),
        ({"labels": {"prior": "mine"}}, None, "labels.prior"),
        ({"labels": {"prior": "public"}}, None, "labels.fractions"),
        ({"labels": {"fractions": [1.0]}}, None, "labels.fractions"),
        ({"api": "magic"}, None, "choose auto, glyphs"),
        ({"api": "pool"}, None, "source"),
        ({"api": "glyphs", "source": "x.npz"}, None, "source"),
        ({"evolution": {"phases": [{"iterations": 0}]}}, PICTURES, "evolution.phases"),
        ({"labels": {"prior": "public", "fractions": [1, 1, 1]}}, PICTURES, "3 fractions for 2 classes"),
        ({"api": Painter()}, "table", "makes images"),
        ({"api": "faces"}, "table", "api=auto"),
    ],
)
def test_mistakes_are_named(people, fields, given, word):
    with pytest.raises(ConfigError, match=word):
        PE().replace(**fields).plan(people.domain if given == "table" else given or PICTURES, BUDGET)


def test_an_api_of_ones_own_makes_images():
    recipe = PE(api=Painter(), population=4).replace(evolution={"phases": [{"iterations": 1}], "lookahead": 0})
    fitted = recipe.fit(pictures(), BUDGET)
    assert (fitted.sample(5).pixels == 0).all()
