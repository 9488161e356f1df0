"""dpsynth/privacy/accounting/budget.py"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.errors import BudgetError
from dpsynth.privacy.accounting.budget import Budget, cells_changed, count_sensitivity, sum_sensitivity


@pytest.mark.parametrize("epsilon", [0, -1, math.nan, "one", None])
def test_epsilon_must_be_above_zero(epsilon):
    with pytest.raises(BudgetError, match="epsilon"):
        Budget(epsilon, 1e-5)


@pytest.mark.parametrize("delta", [0, 1, -1e-5, 2, math.nan])
def test_delta_must_lie_between_zero_and_one(delta):
    with pytest.raises(BudgetError, match="delta"):
        Budget(1, delta)


@pytest.mark.parametrize("wrong", [{"neighbours": "swap"}, {"rows_per_person": 0}, {"rows_per_person": 1.5}])
def test_other_fields_are_checked_in_one_line(wrong):
    with pytest.raises(BudgetError) as caught:
        Budget(1, 1e-5, **wrong)
    assert "\n" not in str(caught.value)


def test_infinite_epsilon_is_a_budget_but_not_private():
    budget = Budget(math.inf, 1e-5, rows_per_person=3)
    assert not budget.private
    assert budget.row_level.epsilon == math.inf
    assert Budget.from_dict(budget.to_dict()) == budget


@given(st.floats(1e-3, 50), st.floats(1e-9, 0.1), st.integers(2, 50))
def test_row_level_gives_the_person_level_budget_back(epsilon, delta, rows):
    budget = Budget(epsilon, delta, rows_per_person=rows)
    row = budget.row_level
    assert row.epsilon <= epsilon / rows * (1 + 1e-12)
    assert row.delta <= delta
    # The chain of m neighbours, term by term: delta (1 + e^eps + ... + e^((m-1) eps)).
    total = row.delta * math.fsum(math.exp(k * row.epsilon) for k in range(rows))
    assert total == pytest.approx(delta, rel=1e-9)
    assert budget.person_level(row.epsilon, row.delta) == pytest.approx((epsilon, delta), rel=1e-9)


def test_sensitivities_follow_the_relation():
    assert sum_sensitivity("add_remove", 3.0) == 3.0
    assert sum_sensitivity("replace_one", 3.0) == 6.0
    assert count_sensitivity("add_remove") == 1.0
    assert count_sensitivity("replace_one") == pytest.approx(math.sqrt(2))
    for neighbours in ("add_remove", "replace_one"):
        assert Budget(1, 1e-5, neighbours).cells_changed == cells_changed(neighbours)


def test_delta_is_warned_about_from_a_public_number_of_rows():
    assert Budget(1, 1e-5).warn_delta(99_999) is None
    assert "delta" in str(Budget(1, 1e-5).warn_delta(100_000))
    assert Budget(1, 1e-5).warn_delta(None) is None
