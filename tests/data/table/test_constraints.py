"""Rules: what can be checked, what they mean with missing values, and repairs that stay legal."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data import Boolean, Category, Codec, Date, Datetime, Domain, Encoded, Integer, Number
from dpsynth.errors import SchemaError

GRADES = ("low", "mid", "high")
COLUMNS = (
    Integer("a", 0, 10),
    Integer("b", 3, 20, missing=True),
    Number("x", -5.0, 5.0, decimals=1),
    Number("y", 0.25, 7.5),
    Number("half", 0.5, 9.5, point_masses=(-1.0,), decimals=2),
    Date("d", dt.date(2000, 1, 1), dt.date(2000, 3, 1), missing=True),
    Date("e", dt.date(2000, 2, 1), dt.date(2000, 4, 1)),
    Datetime("t", dt.datetime(2000, 2, 1), dt.datetime(2000, 2, 3), resolution=3600),
    Category("g", GRADES, ordered=True),
    Category("h", GRADES, ordered=True, missing=True),
    Category("k", ("mid", "other one")),
    Boolean("p"),
    Boolean("q"),
)
RULES = [
    "a <= b", "a < b", "a == b", "a != b", "b >= a", "x < a", "x == y", "x <= y", "y < x", "half <= x",
    "half == a", "x != half", "a <= 4", "a > 7", "a == 3", "3 != a", "x < 0.15", "d <= e", "d < e", "e < d",
    "d == e", "t == d", "t < e", "d != 2000-01-05", "g <= h", "g < h", "g == k", "g != k", "g <= mid",
    'k == "other one"', "p == q", "p != q", "p == True",
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_a_single_rule_is_always_repaired_inside_the_domain(rule, seed):
    domain = Domain(COLUMNS, (rule,))  # pyright: ignore[reportArgumentType]
    frame = random_rows(domain, 40, seed)
    fixed = domain.repair(frame)
    assert domain.satisfied(fixed).all()
    for column in domain:
        again, changed = column.parse(fixed[column.name])
        assert changed == 0
        assert again.equals(fixed[column.name])
    kept = domain.satisfied(frame)
    assert fixed[kept].equals(frame[kept])  # rows that were right are left alone


@given(seed=st.integers(0, 2**32 - 1), order=st.permutations(["a <= b", "b <= c", "c <= d"]))
@settings(max_examples=20, deadline=None)
def test_chains_are_repaired(seed, order):
    names = ("a", "b", "c", "d")
    domain = Domain(tuple(Integer(name, 0, 20 + 5 * i) for i, name in enumerate(names)), tuple(order))
    fixed = domain.repair(random_rows(domain, 50, seed))
    assert domain.satisfied(fixed).all()


def test_a_swap_is_preferred_and_missing_values_keep_every_rule():
    domain = Domain((Integer("a", 0, 9), Integer("b", 0, 9, missing=True)), ("a <= b",))  # pyright: ignore
    frame = pd.DataFrame({"a": [5, 5, 1], "b": pd.array([2, None, 7], dtype="Int64")}, index=[7, 8, 9])
    assert domain.satisfied(frame).tolist() == [False, True, True]
    fixed = domain.repair(frame)
    assert fixed["a"].tolist() == [2, 5, 1]
    assert fixed["b"].isna().tolist() == [False, True, False]
    assert fixed.index.tolist() == [7, 8, 9]


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("a <= zz", "not a finite number"),
        ("yy <= zz", "neither 'yy' nor 'zz'"),
        ("unique(a)", "write it as"),
        ("a <= d", "has no <= with"),
        ("k <= g", "has no <= with"),
        ("p < q", "has no < with"),
        ("g == nowhere", "no category"),
        ("a < 0", "no values"),
        ("a == 99", "no values"),
        ("a > 10", "no values"),
        ("town == k", "private"),
        ("d <= 2000-02-31", "not a date"),
    ],
)
def test_rules_that_cannot_be_checked_or_kept_are_refused(rule, says):
    with pytest.raises(SchemaError, match=says):
        Domain((*COLUMNS, Category("town")), (rule,))  # pyright: ignore[reportArgumentType]


def test_names_with_signs_and_spaces():
    domain = Domain(
        (Integer("years at school", 0, 9), Integer("education-num", 0, 9)),
        ("years at school <= education-num",),
    )  # pyright: ignore
    assert domain.constraints[0].names == {"years at school", "education-num"}


def random_rows(domain: Domain, n: int, seed: int) -> pd.DataFrame:
    """Any legal rows: random codes, decoded."""
    generator = np.random.default_rng(seed)
    codec = Codec(domain, bins=16)
    codes = np.column_stack([generator.integers(size, size=n) for size in codec.sizes]).astype(codec.dtype)
    return codec.decode(Encoded(codes), generator)


@pytest.mark.parametrize(
    "rules",
    [
        ["a < b", "b < a"],
        ["a < b", "b < c", "c < a"],
        ["a <= 3", "a >= 5"],
        ["a == b", "a != b"],
        ["a < b", "b <= 0"],
    ],
)
def test_rules_that_contradict_each_other_are_refused(rules):
    columns = "".join(f"  {name}: {{kind: integer, bounds: [0, 9]}}\n" for name in "abc")
    with pytest.raises(SchemaError, match=f"constraints '{rules[0]}' and .* cannot all hold"):
        Domain.from_yaml(f"columns:\n{columns}constraints: {rules}\n")


@pytest.mark.parametrize(
    "rules",
    [
        ["a <= b", "b <= c", "a != c"],
        ["a < b", "b < c", "a >= 5"],
        ["a == b", "b == c", "c != 3"],
        ["a < b", "a < c", "b != c", "c <= 4"],
        ["a == 4", "b == 4", "c == 4"],
    ],
)
def test_repaired_rows_keep_all_rules_however_they_pull(rules):
    columns = "".join(f"  {name}: {{kind: integer, bounds: [0, 9]}}\n" for name in "abc")
    domain = Domain.from_yaml(f"columns:\n{columns}constraints: {rules}\n")
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(draw.integers(0, 10, (500, 3)), columns=list("abc"))
    repaired = domain.repair(frame)
    assert domain.satisfied(repaired).all()
    assert repaired.isin(range(10)).all().all()
    assert repaired.dtypes.equals(frame.dtypes)
