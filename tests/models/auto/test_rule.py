"""The method of auto follows from public facts: rows, columns, sizes and the budget; and advice improves with them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.data import Category, Domain, Integer
from dpsynth.models.auto.prediction import _coupled, predicted
from dpsynth.models.auto.rule import PAIR_LIMIT, Signal, chosen, warnings
from dpsynth.privacy.accounting.budget import Budget


def domain(columns, size=5, rows=10_000):
    kinds = [Category(f"c{k}", tuple(f"v{v}" for v in range(size))) for k in range(columns - 1)]
    return Domain((*kinds, Integer("n", 0, 100)), rows=rows)


def signal(columns=8, size=5, rows=10_000, epsilon=1.0):
    return Signal.of(domain(columns, size, rows), Budget(epsilon, 1e-5))


@pytest.mark.parametrize(
    ("facts", "method", "workload"),
    [
        ({"rows": 100}, "independent", 0),
        ({"rows": 100_000}, "aim", 3),
        ({"rows": 100_000, "columns": 1}, "independent", 0),
        ({"rows": 10**9, "columns": 70, "size": 2}, "aim", 2),
        ({"rows": 10**9, "columns": 300, "size": 2}, "mst", 0),
        ({"rows": 100, "epsilon": float("inf")}, "aim", 3),
    ],
)
def test_the_table_of_the_rule(facts, method, workload):
    choice = chosen(signal(**facts))
    assert (choice.method, choice.workload) == (method, workload)


@given(rows=st.integers(50, 10**6), columns=st.integers(2, 12), epsilon=st.floats(0.05, 20))
def test_noise_in_pairs_falls_with_rows_and_epsilon_and_grows_with_columns(rows, columns, epsilon):
    here = signal(columns, rows=rows, epsilon=epsilon)
    assert here.with_rows(2 * rows).pair <= here.pair
    assert here.with_epsilon(2 * epsilon).pair <= here.pair
    assert signal(columns + 1, rows=rows, epsilon=epsilon, size=8).pair >= here.pair


def test_warnings_name_what_would_help():
    few = warnings(signal(rows=1_000), "maf")
    assert any("with 1,000 rows of 8 columns and epsilon 1, expect no dependence between columns" in s for s in few)
    assert any("take epsilon" in s and "fewer columns or" in s and "rows" in s for s in few)
    assert any("model=maf will spend its budget" in s for s in few)
    assert not any("spend its budget" in s for s in warnings(signal(rows=1_000), "independent"))
    assert warnings(signal(rows=1_000_000), "maf") == []
    assert warnings(signal(rows=1_000, epsilon=float("inf")), "maf") == []


def test_the_cure_is_one():
    sick = signal(rows=1_000)
    (text,) = [s for s in warnings(sick) if "dependence" in s]
    epsilon = float(text.split("take epsilon ")[1].split(",")[0])
    rows = int(text.rsplit(" or ", 1)[1].removesuffix(" rows").replace(",", ""))
    assert sick.with_epsilon(epsilon).pair <= PAIR_LIMIT
    assert sick.with_rows(rows).pair <= PAIR_LIMIT


def test_predictions_fall_with_rows_and_know_the_order_of_methods_where_noise_is_none():
    small, large = (predicted(signal(rows=rows)) for rows in (1_000, 10**7))
    for few, many in zip(small, large, strict=True):
        assert many.one_way < few.one_way
        assert many.two_way < few.two_way
    independent, mst, aim = large
    assert aim.two_way <= mst.two_way < independent.two_way
    assert small[0].one_way < small[2].one_way
    assert predicted(signal(columns=1))[0].two_way is None


@given(
    st.lists(st.floats(0.01, 1), min_size=2, max_size=6),
    st.lists(st.floats(0.01, 1), min_size=2, max_size=6),
    st.floats(0, 1),
)
def test_coupled_columns_keep_their_margins_and_distance(first, second, strength):
    p, q = (np.array(each) / sum(each) for each in (first, second))
    joint = _coupled(p, q, strength)
    assert np.allclose(joint.sum(axis=1), p)
    assert np.allclose(joint.sum(axis=0), q)
    assert joint.min() >= -1e-15
    distance = 0.5 * np.abs(joint - np.outer(p, q)).sum()
    assert distance <= strength + 1e-9
