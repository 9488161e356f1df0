"""dpsynth/privacy/quantiles.py and privtree.py: bought bins, their guarantee and their use."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.privacy import Budget, Ledger, Plan, Streams
from dpsynth.privacy.accounting import prove
from dpsynth.privacy.privtree import PrivTree
from dpsynth.privacy.quantiles import PrivateQuantiles
from dpsynth.privacy.replay import audit

KINDS = [PrivateQuantiles, PrivTree]
BUDGETS = [Budget(1.0, 1e-5), Budget(1.0, 1e-5, "replace_one")]
FINE = 64


def run(kind, budget, histograms, streams, bins=8, share=0.5):
    binner = kind(len(histograms), bins, budget, share)
    plan = Plan(budget, binner.charges())
    ledger = Ledger(plan)
    bought = binner.run(histograms, ledger, streams.privacy)
    assert ledger.finished
    return [b.cuts for b in bought]


def histogram(values):
    return np.bincount(np.asarray(values, dtype=int), minlength=FINE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("budget", BUDGETS)
@given(values=st.lists(st.integers(0, FINE - 1), max_size=60), new=st.integers(0, FINE - 1), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_neighbours_stay_within_the_stated_sensitivity(kind, budget, values, new, seed):
    values = [*values, 5]
    other = [*values, new] if budget.neighbours == "add_remove" else [*values[:-1], new]

    def publish(data, streams):
        return run(kind, budget, [histogram(data), histogram(np.zeros(len(data)))], streams)

    audit(publish, values, other, seed=seed)
    audit(publish, other, values, seed=seed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("epsilon", [0.3, 3.0, math.inf])
@given(values=st.lists(st.integers(0, FINE - 1), max_size=200), bins=st.integers(1, 16))
@settings(max_examples=15, deadline=None)
def test_cuts_are_bins(kind, epsilon, values, bins):
    budget = Budget(epsilon, 1e-5)
    (cuts,) = run(kind, budget, [histogram(values)], Streams(0, infinite=not budget.private), bins)
    assert cuts[0] == 0
    assert cuts[-1] == FINE
    assert (np.diff(cuts) > 0).all()
    assert len(cuts) - 1 <= bins


@pytest.mark.parametrize("kind", KINDS)
def test_bins_are_finer_where_the_rows_are(kind):
    values = np.random.default_rng(0).integers(0, 8, 50_000)  # all rows in the first eighth
    (cuts,) = run(kind, Budget(3.0, 1e-5), [histogram(values)], Streams(1, "seeded"), bins=8)
    assert (cuts < 8).sum() >= 4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("budget", BUDGETS)
def test_the_share_is_kept(kind, budget):
    plan = Plan(budget, kind(5, 32, budget, 0.1).charges())
    assert 0.15 < plan.proven.epsilon < 0.45  # a tenth of rho is about a third of epsilon


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("scale", [0.7, 3.0, 25.0])
def test_privtree_is_private_as_a_whole(budget, scale):
    """P[tree] on neighbours, worked out in full for every tree of 8 fine bins: ratios stay within exp(epsilon)."""

    class Scaled(PrivTree):
        @property
        def scale(self):
            return scale

    tree = Scaled(1, 8, budget, 0.5)
    decay, changed = tree.decay, budget.cells_changed
    p = math.exp(-1 / scale)

    def splits(score):
        return p ** (1 - score) / (1 + p) if score <= 1 else 1 - p**score / (1 + p)

    def law(counts, low=0, high=8, depth=0):
        """{tree: probability}, a tree being a leaf () or a pair of trees."""
        if high - low == 1:
            return {(): 1.0}
        chance = splits(max(-decay, int(counts[low:high].sum()) - depth * decay))
        middle = (low + high) // 2
        halves = law(counts, low, middle, depth + 1), law(counts, middle, high, depth + 1)
        both = {(a, b): chance * x * y for (a, x), (b, y) in itertools.product(*(h.items() for h in halves))}
        return {(): 1 - chance, **both}

    epsilon = 3 * changed / scale
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
            one, two = law(counts), law(other)
            worst = max(worst, *(abs(math.log(one[tree] / two[tree])) for tree in one))
    assert worst <= epsilon + 1e-9
    assert worst > 0.2 * epsilon / changed


def test_a_tree_is_charged_as_randomised_response():
    """The stand-in event costs no less than pure epsilon-DP can: delta(0) of randomised response, for one tree."""
    tree = PrivTree(1, 8, Budget(3.0, 0.2), 0.5)
    (charge,) = tree.charges()
    proven = prove([charge], Budget(9.0, 1e-5)).epsilon
    assert proven == pytest.approx(tree.epsilon, rel=1e-3)  # with hardly any delta nothing is saved
    wide = prove([charge], Budget(9.0, 0.05)).epsilon
    e = tree.epsilon
    assert (math.exp(e) - math.exp(wide)) / (1 + math.exp(e)) == pytest.approx(0.05, abs=2e-3)
