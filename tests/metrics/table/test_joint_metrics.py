"""What holds for every metric of the joint distribution: odd tables, determinism, known truth."""

import warnings

import numpy as np
import pandas as pd
import pytest

from dpsynth.data.table.domain import Domain
from dpsynth.metrics.framework.comparison import Comparison, Counts
from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.propensity import Propensity, TwoSample
from dpsynth.metrics.table.randomisation import RandomisationRatio
from dpsynth.metrics.table.support import SupportScores
from dpsynth.reproductions.seed_compat import SeedCompat

FAMILIES = [
    RandomisationRatio(count=20, relabellings=20),
    RandomisationRatio(count=20, relabellings=20, use_exact=True),
    Propensity(permutations=4),
    TwoSample(iterations=20),
    SupportScores(),
    SeedCompat(),
]
NAMES = [
    ["wasserstein_ratio"],
    ["wasserstein_ratio"],
    ["pmse_ratio", "tree_pmse_ratio"],
    ["c2st_auc"],
    ["alpha_precision", "beta_recall", "density", "coverage"],
    ["seed_sra", "seed_wasserstein", "seed_pmse"],
]
EACH = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: type(family).__name__)


def one_column(kind, values):
    domain = Domain.from_yaml(f"columns:\n  only: {{{kind}}}\n")
    return Sample(pd.DataFrame({"only": values}), domain)


def oddities(domain, draw):
    """Pairs of an evaluated and a real table."""
    normal = Sample(draw(120, 0), domain)
    gone = draw(60, 1).assign(gain=np.nan, day=pd.NaT, flag=pd.NA)
    constant = draw(1, 2).iloc[np.zeros(60, dtype=int)].reset_index(drop=True)
    many = "kind: category, categories: [" + ", ".join(f"v{i}" for i in range(5000)) + "]"
    g = np.random.default_rng(0)
    yield "identical", normal, normal
    yield "nothing but gaps", Sample(gone, domain), normal
    yield "only gaps in both", Sample(gone, domain), Sample(gone.iloc[::-1], domain)
    yield "constant", Sample(constant, domain), normal
    yield "both constant", Sample(constant, domain), Sample(constant, domain)
    yield "one row", normal.head(1), normal
    yield "one real row", normal, normal.head(1)
    yield "two single rows", normal.head(1), Sample(draw(1, 3), domain)
    yield "seven rows", normal.head(7), normal
    yield "one number", *(one_column("kind: number, bounds: [0, 1]", g.random(50)) for _ in "ab")
    yield "one word", *(one_column("kind: category, categories: [a, b]", g.choice(["a", "b"], 50)) for _ in "ab")
    yield "5,000 words", *(one_column(many, [f"v{i}" for i in g.integers(0, 5000, 300)]) for _ in "ab")
    yield "no words in common", *(one_column(many, [f"v{i}" for i in range(j, 300, 2)]) for j in (0, 1))


@EACH
def test_odd_tables_give_finite_scores_or_reasons_in_the_same_order(family, domain, draw):
    names = NAMES[FAMILIES.index(family)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for what, evaluated, real in oddities(domain, draw):
            scores = family.measure(evaluated, Reference(real))
            assert [score.name for score in scores] == names, what
            for score in scores:
                assert score.group == ("seed_compat" if score.name.startswith("seed") else "joint")
                assert score.meaning
                assert score.reason or np.isfinite(score.value), what


@EACH
def test_scores_are_the_same_again_and_json_able(family, domain, draw):
    evaluated, reference = Sample(draw(200, 0), domain), Reference(Sample(draw(150, 1), domain))
    one, two = (family.measure(evaluated, reference) for _ in range(2))
    assert [score.to_dict() for score in one] == [score.to_dict() for score in two]
    for score in one:
        for fact in score.detail.values():
            assert isinstance(fact, (int, float, str, list)), (score.name, fact)
            assert not isinstance(fact, np.generic)


@EACH
def test_identical_tables_are_no_worse_than_fresh_rows(family, domain, draw):
    holdout, fresh = Sample(draw(300, 0), domain), Sample(draw(300, 1), domain)
    pairs = zip(*(family.measure(evaluated, Reference(holdout)) for evaluated in (holdout, fresh)), strict=True)
    for same, other in pairs:
        if same.name == "density":
            assert same.value >= 0.9
        elif same.name == "c2st_auc":
            assert same.value <= 0.5 + 1e-9
        elif not same.name.startswith("seed"):
            assert same.value <= other.value if same.better == "lower" else same.value >= other.value, same.name


@pytest.fixture(scope="module")
def evaluated_damage(domain, draw):
    """Scores of independent columns and of a fresh sample, both with confidence bands."""
    train, holdout = draw(1200, 0), draw(900, 1)
    fresh, counts = draw(1200, 2), Counts(replicates=5, costly_replicates=5, costly_draws=1, threads=1)
    shuffled = fresh.apply(lambda column: column.sample(frac=1, random_state=len(column.name)).to_numpy())
    shifted = fresh.assign(age=(fresh["age"] + 30).clip(upper=99))
    dropped = fresh[fresh["region"] != "north"].sample(len(fresh), replace=True, random_state=0)
    families = [family for family in FAMILIES if not getattr(family, "use_exact", False)]
    tables = {"fresh": fresh, "shuffled": shuffled, "shifted": shifted, "dropped": dropped}
    return {
        name: {score.name: score for score in Comparison.of(train, holdout, [table], domain).scores(families, counts)}
        for name, table in tables.items()
    }


SEEN = {
    "shuffled": ["tree_pmse_ratio", "c2st_auc", "coverage"],
    "shifted": ["wasserstein_ratio", "pmse_ratio", "tree_pmse_ratio", "c2st_auc"],
    "dropped": ["wasserstein_ratio", "pmse_ratio", "tree_pmse_ratio", "c2st_auc", "coverage", "beta_recall"],
}


@pytest.mark.parametrize(("damage", "name"), [(damage, name) for damage, names in SEEN.items() for name in names])
def test_damage_is_seen(evaluated_damage, damage, name):
    assert evaluated_damage[damage][name].like_real is False, evaluated_damage[damage][name]


def test_a_fresh_sample_is_mostly_like_real(evaluated_damage):
    verdicts = [score.like_real for score in evaluated_damage["fresh"].values()]
    assert sum(verdicts) >= len(verdicts) - 1


@pytest.mark.parametrize("name", ["seed_wasserstein", "seed_pmse"])
def test_the_original_scores_do_not_see_a_shift(evaluated_damage, name):
    assert evaluated_damage["shifted"][name].like_real is True
