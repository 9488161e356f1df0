"""dpsynth/privacy/mechanisms/discretizer.py and discretizer.py: private bins, their guarantee and their use."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import BudgetError
from dpsynth.privacy import Budget, Ledger, Plan, RandomGenerators
from dpsynth.privacy.accounting.accounting import prove
from dpsynth.privacy.mechanisms.discretizer import PrivateQuantiles, PrivTree
from dpsynth.privacy.replay import audit

KINDS = [PrivateQuantiles, PrivTree]
BUDGETS = [Budget(1.0, 1e-5), Budget(1.0, 1e-5, "replace_one")]
FINE = 64


def run(kind, budget, histograms, randomness, bins=8, fraction=0.5):
    binner = kind.planned(len(histograms), bins, budget, fraction)
    ledger = Ledger(Plan(budget, (binner,)), randomness)
    found = binner.discretize(histograms, ledger)
    assert ledger.finished
    return [each.cuts for each in found]


def histogram(values):
    return np.bincount(np.asarray(values, dtype=int), minlength=FINE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("budget", BUDGETS)
@given(values=st.lists(st.integers(0, FINE - 1), max_size=60), new=st.integers(0, FINE - 1), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_neighbours_stay_within_the_stated_sensitivity(kind, budget, values, new, seed):
    values = [*values, 5]
    other = [*values, new] if budget.neighbours == "add_remove" else [*values[:-1], new]

    def publish(data, randomness):
        return run(kind, budget, [histogram(data), histogram(np.zeros(len(data)))], randomness)

    audit(publish, values, other, seed=seed)
    audit(publish, other, values, seed=seed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("epsilon", [0.3, 3.0, math.inf])
@given(values=st.lists(st.integers(0, FINE - 1), max_size=200), bins=st.integers(1, 16))
@settings(max_examples=15, deadline=None)
def test_cuts_are_bins(kind, epsilon, values, bins):
    budget = Budget(epsilon, 1e-5)
    (cuts,) = run(kind, budget, [histogram(values)], RandomGenerators(0), bins)
    assert cuts[0] == 0
    assert cuts[-1] == FINE
    assert (np.diff(cuts) > 0).all()
    assert len(cuts) - 1 <= bins


@pytest.mark.parametrize("kind", KINDS)
def test_bins_are_finer_where_the_rows_are(kind):
    values = np.random.default_rng(0).integers(0, 8, 50_000)  # all rows in the first eighth
    (cuts,) = run(kind, Budget(3.0, 1e-5), [histogram(values)], RandomGenerators(1, "seeded"), bins=8)
    assert (cuts < 8).sum() >= 4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("budget", BUDGETS)
def test_the_fraction_is_kept(kind, budget):
    plan = Plan(budget, (kind.planned(5, 32, budget, 0.1),))
    assert 0.15 < plan.proven.epsilon < 0.45  # a tenth of rho is about a third of epsilon


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("scale", [0.7, 3.0, 25.0])
def test_privtree_is_private_as_a_whole(budget, scale):
    """P[tree] on neighbours, worked out in full for every tree of 8 fine bins: ratios stay within exp(epsilon)."""

    changed = budget.cells_changed
    tree = PrivTree(name="bins", neighbours=budget.neighbours, epsilon=3 * changed / scale, bins=8)
    assert tree.scale == pytest.approx(scale)
    decay = tree.decay
    p = math.exp(-1 / scale)

    def splits(score):
        return p ** (1 - score) / (1 + p) if score <= 1 else 1 - p**score / (1 + p)

    def distribution(counts, low=0, high=8, depth=0):
        """{tree: probability}, a tree being a leaf () or a pair of trees."""
        if high - low == 1:
            return {(): 1.0}
        chance = splits(max(-decay, int(counts[low:high].sum()) - depth * decay))
        middle = (low + high) // 2
        halves = distribution(counts, low, middle, depth + 1), distribution(counts, middle, high, depth + 1)
        both = {(a, b): chance * x * y for (a, x), (b, y) in itertools.product(*(h.items() for h in halves))}
        return {(): 1 - chance, **both}

    epsilon = tree.epsilon
    worst = 0.0
    draw = np.random.default_rng(0)
    for size in (0, 1, decay, 2 * decay, 3 * decay, 4 * decay):
        for where in (0, 3):
            counts = draw.multinomial(size // 4, np.ones(8) / 8)
            counts[where] += size
            other = counts.copy()
            other[where] += 1
            if changed == 2:
                counts[7] += 1  # the same number of rows on both sides
            one, two = distribution(counts), distribution(other)
            worst = max(worst, *(abs(math.log(one[tree] / two[tree])) for tree in one))
    assert worst <= epsilon + 1e-9
    assert worst > 0.2 * epsilon / changed


def test_a_tree_is_charged_as_randomised_response():
    """The stand-in event costs no less than pure epsilon-DP can: delta(0) of randomised response, for one tree."""
    tree = PrivTree.planned(1, 8, Budget(3.0, 0.2), 0.5)
    proven = prove([tree], Budget(9.0, 1e-5)).epsilon
    assert proven == pytest.approx(tree.epsilon, rel=1e-3)  # with hardly any delta nothing is saved
    wide = prove([tree], Budget(9.0, 0.05)).epsilon
    e = tree.epsilon
    assert (math.exp(e) - math.exp(wide)) / (1 + math.exp(e)) == pytest.approx(0.05, abs=2e-3)


@pytest.mark.parametrize("budget", BUDGETS)
def test_the_whole_tree_of_a_column_is_one_release(budget):
    """Columns are releases of their own; what the gate records of each is the histogram of the whole column."""
    histograms = [histogram(np.arange(50) % (7 + k)) for k in range(3)]
    report = audit(lambda data, randomness: run(PrivTree, budget, data, randomness), histograms, histograms)
    assert [release.step for release in report.releases] == [0, 1, 2]
    assert {release.name for release in report.releases} == {"bins"}
    for release, column in zip(report.releases, histograms, strict=True):
        assert np.array_equal(release.query, column)
    tree = PrivTree.planned(3, 8, budget, 0.5)
    ledger = Ledger(Plan(budget, (tree,)), RandomGenerators())
    tree.discretize(histograms, ledger)
    with pytest.raises(BudgetError, match="more than was planned"):
        ledger.release(tree, histograms[0])


def test_trees_are_drawn_as_often_as_their_distribution_says():
    """Splits of the root and of its halves, over many columns, against the chances of the proof."""
    columns = 3000
    tree = PrivTree(name="bins", neighbours="add_remove", epsilon=1.0, bins=4, releases=columns)
    ledger = Ledger(Plan(Budget(9000.0, 0.1), (tree,)), RandomGenerators(2, "seeded"))
    counts = np.array([5, 1, 0, 0])
    cuts = [set(found.cuts.tolist()) for found in tree.discretize([counts] * columns, ledger)]
    p = math.exp(-1 / tree.scale)

    def chance(score):
        score = max(-tree.decay, score)
        return p ** (1 - score) / (1 + p) if score <= 1 else 1 - p**score / (1 + p)

    split = [found for found in cuts if 2 in found]
    assert len(split) / columns == pytest.approx(chance(6), abs=5 / math.sqrt(4 * columns))
    for cut, score in ((1, 6 - tree.decay), (3, -tree.decay)):
        part = np.mean([cut in found for found in split])
        assert part == pytest.approx(chance(score), abs=5 / math.sqrt(4 * len(split)))
