"""Plans: every request can be had from a scan, no merged table is over the cap, nothing depends on order or luck."""

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.errors import ConfigError
from dpsynth.marginals.counting import plan as planning
from dpsynth.marginals.counting.plan import CountingPlan, cells_of, make_plan


@st.composite
def problems(draw):
    sizes = tuple(draw(st.lists(st.integers(1, 60), min_size=1, max_size=9)))
    column = st.integers(0, len(sizes) - 1)
    request = st.lists(column, max_size=4, unique=True).map(tuple)
    requests = draw(st.lists(request, min_size=1, max_size=25))
    return sizes, requests


@given(problems(), st.sampled_from([0, 1, 100, 32_768, 10**6]), st.sampled_from([0, 1, 10_000, 10**8]))
def test_every_request_is_inside_a_scan_and_merged_tables_are_under_the_cap(problem, cap, rows):
    sizes, requests = problem
    plan = make_plan(sizes, requests, rows=rows, cells_cap=cap)
    assert {request for request, _ in plan.answers} == set(requests)
    assert all(set(request) <= set(plan.scans[scan]) for request, scan in plan.answers)
    asked = {tuple(sorted(request)) for request in requests}
    for scan in plan.scans:
        assert list(scan) == sorted(set(scan))
        assert scan in asked or cells_of(scan, sizes) <= cap or asked == {()}
    for one, other in itertools.permutations(plan.scans, 2):
        assert not set(one) <= set(other)
    assert {scan for _, scan in plan.answers} == set(range(len(plan.scans)))


@given(problems(), st.randoms(use_true_random=False))
def test_a_plan_does_not_depend_on_the_order_of_requests(problem, random):
    sizes, requests = problem
    plan = make_plan(sizes, requests, rows=10**7)
    shuffled = [tuple(random.sample(request, len(request))) for request in random.sample(requests, len(requests))]
    assert make_plan(sizes, shuffled, rows=10**7).scans == plan.scans


def test_many_rows_are_scanned_less_often_and_few_rows_are_not_worth_merging():
    sizes, pairs = (4,) * 12, list(itertools.combinations(range(12), 2))
    merged = make_plan(sizes, pairs, rows=10**7)
    assert len(merged.scans) <= len(pairs) / 4
    assert len(make_plan(sizes, pairs, rows=100).scans) == len(pairs)
    assert len(make_plan(sizes, pairs, rows=10**7, cells_cap=0).scans) == len(pairs)


def test_subsets_and_duplicates_are_not_scanned():
    plan = make_plan((300, 300, 300), [(1,), (0, 1), (1, 0), (0, 1), (2, 0)], rows=10**6)
    assert plan.scans == ((0, 1), (0, 2))


@given(problems())
def test_projections_are_sums_over_the_other_columns_in_the_order_asked(problem):
    sizes, requests = problem
    plan = make_plan(sizes, requests, rows=10**7, cells_cap=5_000)
    if plan.cells > 10**6:
        return
    generator = np.random.default_rng(0)
    rows = np.stack([generator.integers(0, size, 50) for size in sizes], axis=1)
    totals = []
    for scan in plan.scans:
        table = np.zeros([sizes[j] for j in scan], dtype=np.int64)
        np.add.at(table, tuple(rows[:, j] for j in scan), 1)
        totals.append(table.ravel())
    for request, answer in plan.project(totals).items():
        expected = np.zeros([sizes[j] for j in request], dtype=np.int64)
        if request:
            np.add.at(expected, tuple(rows[:, j] for j in request), 1)
        else:
            expected += len(rows)
        assert answer.shape == tuple(sizes[j] for j in request)
        assert np.array_equal(answer, expected)
        assert not any(np.shares_memory(answer, total) for total in totals)


def test_a_plan_over_the_hard_cap_names_the_columns_at_fault():
    with pytest.raises(ConfigError, match="'city', 'job' with 1,000,000 cells"):
        make_plan((1000, 2, 1000), [(0, 1), (0, 2)], rows=9, most_cells=10_000, names=("city", "sex", "job"))
    with pytest.raises(ConfigError, match="column 0, column 2"):
        make_plan((1000, 2, 1000), [(0, 2)], rows=9, most_cells=10_000)


def test_merging_never_makes_a_plan_exceed_the_hard_cap():
    sizes, pairs = (8,) * 10, list(itertools.combinations(range(10), 2))
    alone = len(pairs) * 64
    plan = make_plan(sizes, pairs, rows=10**8, most_cells=alone)
    assert isinstance(plan, CountingPlan)
    assert plan.cells <= alone
    assert math.prod(sizes) > alone


@pytest.mark.parametrize("request_", [(0, 0), (3,), (-1,), (0, 7)])
def test_requests_for_columns_that_are_not_there_are_refused(request_):
    with pytest.raises(ConfigError, match="0 to 2"):
        make_plan((2, 2, 2), [request_], rows=1)


@pytest.mark.parametrize("sizes", [(), (0, 2), (70_000,)])
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(ConfigError, match="sizes"):
        make_plan(sizes, [(0,)], rows=1)


def simple_holder(request, scans, sizes):
    """The reference: every scan is tried."""
    holders = [position for position, scan in enumerate(scans) if set(request) <= set(scan)]
    return min(holders, key=lambda position: cells_of(scans[position], sizes))


@given(problems(), st.sampled_from([100, 32_768]), st.sampled_from([0, 10_000, 10**8]))
def test_answers_come_from_the_smallest_scans(problem, cap, rows):
    sizes, requests = problem
    plan = make_plan(sizes, requests, rows=rows, cells_cap=cap)
    for request, scan in plan.answers:
        assert scan == simple_holder(request, plan.scans, sizes)


@given(st.lists(st.lists(st.integers(0, 7), max_size=7, unique=True).map(sorted).map(tuple), unique=True))
def test_maximal_sets_are_those_inside_no_other(sets):
    simple = [one for one in sets if not any(set(one) < set(other) for other in sets)]
    assert planning._maximal(sets) == simple


@given(problems(), st.sampled_from([1, 100, 32_768]), st.sampled_from([0, 10_000, 10**8]))
def test_blocks_cover_all_sets_at_no_more_cost(problem, cap, rows):
    sizes, requests = problem
    sets = planning._maximal(sorted({tuple(sorted(request)) for request in requests if request}))
    if not sets:
        return
    costs = np.array([planning._cost(cells_of(one, sizes), len(one), rows) for one in sets])
    found = planning._blocked(sets, sizes, rows, cap, costs)
    assert all(any(set(one) <= set(scan) for scan in found) for one in sets)
    assert all(scan in sets or cells_of(scan, sizes) <= cap for scan in found)
    assert sum(planning._cost(cells_of(scan, sizes), len(scan), rows) for scan in found) <= costs.sum() * (1 + 1e-12)


def test_pairs_of_many_columns_are_planned_in_blocks_in_no_time():
    """11,175 pairs: comparing each with every other takes minutes."""
    sizes, pairs = (2,) * 150, list(itertools.combinations(range(150), 2))
    begun = time.process_time()
    few, many = (make_plan(sizes, pairs, rows=rows) for rows in (600, 10**6))
    assert time.process_time() - begun < 5
    assert len(few.scans) == len(pairs)
    assert len(many.scans) == 22 * 21 / 2  # of 22 blocks of up to 7 columns
