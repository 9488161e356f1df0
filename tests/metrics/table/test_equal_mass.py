import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dpsynth.data.table.domain import Domain
from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.columns import distances
from dpsynth.metrics.table.equal_mass import EqualMass, EqualMassCells, quantile_edges
from dpsynth.metrics.table.marginals import Marginals

INCOME = Domain.from_yaml(
    "columns:\n  income: {kind: integer, bounds: [0, 1000000]}\n"
    "  debt: {kind: integer, bounds: [-1, 1000000], missing: true}\n  sex: {kind: category, categories: [f, m]}\n"
)


def incomes(rows, seed, zeros=0.3):
    """Log-normal incomes, many of them zero; debts that follow them, with a sentinel and missing values."""
    generator = np.random.default_rng(seed)
    income = np.minimum(np.exp(generator.normal(9, 1, rows)).round(), 1_000_000)
    income[generator.random(rows) < zeros] = 0
    debt = pd.Series((income * generator.random(rows)).round())
    debt[generator.random(rows) < 0.2] = -1
    debt = debt.mask(generator.random(rows) < 0.1)
    return pd.DataFrame({"income": income, "debt": debt, "sex": generator.choice(["f", "m"], rows)})


def scores(real, synthetic, domain=INCOME, family=None):
    reference = Reference(Sample(real, domain))
    found = (family or EqualMass({1: None, 2: None, 3: None})).measure(Sample(synthetic, domain), reference)
    return {score.name: np.nan if score.value is None else score.value for score in found}


values = arrays(np.float64, st.integers(0, 200), elements=st.integers(-3, 12).map(float) | st.floats(-50, 50))


@given(values, st.integers(1, 12))
def test_every_cell_holds_its_share_and_heavy_values_are_alone(values, cells):
    edges = quantile_edges(values, cells)
    assert (np.diff(edges) > 0).all()
    place, mass = np.searchsorted(edges, values), len(values) / cells
    counts = np.bincount(place, minlength=len(edges) + 1)
    distinct, often = np.unique(values, return_counts=True)
    heavy = distinct[often >= mass]
    for value in heavy:
        assert set(values[place == np.searchsorted(edges, value)]) == {value}
    own = np.isin(np.arange(len(counts)), np.searchsorted(edges, heavy))
    # fewer than twice the share, and at most three cells for each share: itself, a remainder, an empty one
    assert (counts[~own] < 2 * mass + (mass == 0)).all()
    assert len(counts) <= 3 * cells + 1


@given(values, st.integers(1, 12), st.floats(0.1, 10), st.floats(-5, 5))
def test_cells_move_with_the_values(values, cells, scale, shift):
    """Ranks alone decide: any rising map of the axis gives the same cells of the same rows."""
    moved = np.exp(scale * values / 50 + shift)
    if len(np.unique(moved)) < len(np.unique(values)):
        return  # the map rounded two values to one
    same = [np.searchsorted(quantile_edges(each, cells), each) for each in (values, moved)]
    assert (same[0] == same[1]).all()


def test_neighbours_of_a_point_mass_are_not_in_its_cell():
    edges = quantile_edges(np.array([0.0] * 50 + list(range(1, 51))), 10)
    zero, near, below = np.searchsorted(edges, [0.0, 1e-9, -1e-9])
    assert zero not in (near, below)


def test_equal_tables_score_zero_and_disjoint_ones_one():
    frame = incomes(500, 0)
    assert all(value == pytest.approx(0.0) for value in scores(frame, frame.sample(frac=1, random_state=0)).values())
    domain = Domain.from_yaml("columns:\n  a: {kind: number, bounds: [0, 1]}\n")
    real, other = pd.DataFrame({"a": np.full(30, 0.5)}), pd.DataFrame({"a": np.linspace(0.6, 1, 30)})
    found = scores(real, other, domain)
    assert found["tv_1way_equal_mass"] == pytest.approx(1.0)
    assert np.isnan(found["tv_2way_equal_mass"])


def test_values_evened_out_within_wide_bins_are_seen():
    """The fault that equal-width bins cannot see: values drawn evenly within the bin that they fell into."""
    real, fresh = incomes(4000, 0), incomes(4000, 1)
    width, generator = 1_000_001 / 32, np.random.default_rng(2)
    smeared = fresh.copy()
    for name in ("income", "debt"):
        there = smeared[name].notna()
        bins = np.floor(smeared.loc[there, name].clip(lower=0) / width)
        smeared.loc[there, name] = np.minimum((bins + generator.random(len(bins))) * width, 1_000_000).round()
    wide = [scores(real, frame, family=Marginals({1: None, 2: None})) for frame in (fresh, smeared)]
    assert wide[1]["tv_2way"] < 1.5 * wide[0]["tv_2way"] + 0.02
    equal = [scores(real, frame) for frame in (fresh, smeared)]
    for order in (1, 2, 3):
        assert equal[0][f"tv_{order}way_equal_mass"] < 0.25
        assert equal[1][f"tv_{order}way_equal_mass"] > 3 * equal[0][f"tv_{order}way_equal_mass"]
    units = [Sample(frame, INCOME).units[:, 0] for frame in (real, smeared)]
    assert distances(*units)[1] > 0.3  # as the Kolmogorov-Smirnov statistic says too


def test_missing_is_a_cell_of_its_own_and_categories_stay():
    frame = incomes(800, 3)
    sample = Sample(frame, INCOME)
    cells = EqualMassCells.of(sample, 8)
    codes = cells.codes(sample)
    assert (codes < np.array(cells.sizes)).all()
    assert (codes >= 0).all()
    assert ((codes[:, 1] == cells.sizes[1] - 1) == frame["debt"].isna()).all()
    assert (codes[:, 2] == sample.codes[:, 2]).all()
    assert (cells.codes(Sample(incomes(50, 9), INCOME)) < np.array(cells.sizes)).all()


def test_a_column_without_any_value_is_one_cell_and_missing():
    frame = incomes(40, 0).assign(debt=np.nan)
    cells = EqualMassCells.of(Sample(frame, INCOME), 8)
    assert cells.sizes[1] == 2
    assert scores(frame, incomes(40, 1))["tv_1way_equal_mass"] > 0
