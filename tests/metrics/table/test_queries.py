import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.data.columns import Category
from dpsynth.data.table.domain import Domain
from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.queries import Condition, Queries, answers, draw_queries


def test_answers_are_what_pandas_counts(domain, draw):
    frame = draw(500, 0)
    region, flag = domain.position("region"), domain.position("flag")
    names = domain["region"].values
    some = np.array([name in ("north", "elsewhere") for name in names])
    queries = [
        (Condition(0, 30 / 99, 60 / 99),),
        (Condition(0, 0.0, 40 / 99), Condition(region, chosen=some)),
        (Condition(domain.position("gain"), 0.0, 1.0), Condition(flag, chosen=np.array([False, True]))),
    ]
    expected = [
        frame["age"].between(30, 60).mean(),
        ((frame["age"] <= 40) & frame["region"].isin(["north", "elsewhere"])).mean(),
        (frame["gain"].notna() & frame["flag"].fillna(False)).mean(),
    ]
    assert answers(Sample(frame, domain), queries) == pytest.approx(expected)


@given(st.integers(0, 50), st.integers(1, 40))
def test_queries_are_drawn_from_the_domain_and_the_seed_alone(seed, count):
    domain = Domain.from_yaml(
        "columns:\n  a: {kind: number, bounds: [0, 1]}\n  b: {kind: category, categories: [x, y, z]}\n"
        "  c: {kind: boolean}\n  d: {kind: category, categories: [one]}\n"
    )
    queries = draw_queries(domain, count, seed)
    assert len(queries) == count
    for query, again in zip(queries, draw_queries(domain, count, seed), strict=True):
        places = [condition.position for condition in query]
        assert 1 <= len(places) <= 3
        assert places == sorted(set(places))
        for condition, same in zip(query, again, strict=True):
            assert (condition.low, condition.high) == (same.low, same.high)
            assert 0 < condition.coverage <= 1
            if isinstance(domain.columns[condition.position], Category):
                assert np.array_equal(condition.chosen, same.chosen)
                assert condition.chosen.any()
                assert len(condition.chosen) == 1 or not condition.chosen.all()


def test_every_value_of_a_range_is_asked_for_alike():
    domain = Domain.from_yaml("columns:\n  a: {kind: number, bounds: [0, 1]}\n")
    ranges = [(query[0].low, query[0].high) for query in draw_queries(domain, 4000)]
    covered = [np.mean([low <= x <= high for low, high in ranges]) for x in (0.0, 0.03, 0.5, 0.97, 1.0)]
    assert np.ptp(covered) < 0.04  # four standard errors of a difference
    assert 0.2 < np.mean(covered) < 0.5


def test_equal_tables_err_by_nothing_and_disjoint_ones_by_all(domain, draw):
    frame = draw(300, 0)
    same = Queries().measure(Sample(frame, domain), Reference(Sample(frame.sample(frac=1, random_state=1), domain)))
    assert [score.value for score in same] == [0.0, 0.0]
    assert [score.name for score in same] == ["query_error", "query_relative_error"]
    two = Domain.from_yaml("columns:\n  a: {kind: category, categories: [x, y]}\n")
    x, y = (Sample(pd.DataFrame({"a": [name] * 5}), two) for name in "xy")
    absolute, relative = Queries(50).measure(x, Reference(y))
    assert absolute.value == 1.0
    assert relative.value > 100  # where no real row answers, the bound of .001 divides


def test_lost_dependence_and_a_shifted_mean_are_seen(domain, draw):
    holdout, real = Sample(draw(4000, 0), domain), draw(4000, 1)
    fresh = Queries().measure(Sample(real, domain), Reference(holdout))
    lost = real.assign(age=np.random.default_rng(0).permutation(real["age"]))
    shifted = real.assign(age=np.minimum(real["age"] + 5, 99))
    for damaged in (lost, shifted):
        found = Queries().measure(Sample(damaged, domain), Reference(holdout))
        assert found[0].value > 1.25 * fresh[0].value
    parts = Queries().measure(Sample(lost, domain), Reference(holdout))[0].parts
    assert set(parts) == {"1 condition", "2 conditions", "3 conditions"}


def test_the_worst_query_is_stated_in_words(domain, draw):
    real = draw(400, 0)
    detail = Queries().measure(Sample(real.assign(region="south"), domain), Reference(Sample(real, domain)))[0].detail
    assert "region in {" in detail["worst"]
    assert abs(detail["worst_real"] - detail["worst_evaluated"]) > 0.3
    assert Condition(0, 0.25, 0.5).text(domain) == "age in [24.75, 49.5]"
    day = Condition(domain.position("day"), 0.0, 1.0).text(domain)
    assert "2020-01-01" in day
    assert "2020-12-31" in day
