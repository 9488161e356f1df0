import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LogisticRegression

from dpsynth.data.table.domain import Domain
from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.coefficients import Coefficients, Fit, linear_fit, logistic_fit, overlaps


def sound(values, errors):
    values = np.asarray(values, dtype=float)
    return Fit(values, np.asarray(errors, dtype=float), np.ones(len(values), dtype=bool))


def measure(evaluated, holdout, domain, **fields):
    return Coefficients(**fields).measure(Sample(evaluated, domain), Reference(Sample(holdout, domain)))[0]


@pytest.fixture(scope="module")
def design():
    g = np.random.default_rng(0)
    inputs = np.column_stack([np.ones(3000), g.normal(size=(3000, 3)), g.random(3000) < 0.3])
    outcome = (g.random(3000) < 1 / (1 + np.exp(-inputs @ [0.3, 1.0, -2.0, 0.0, 0.7]))).astype(float)
    return inputs, outcome


def test_logistic_coefficients_agree_with_scikit_learn(design):
    inputs, outcome = design
    fit = logistic_fit(inputs, outcome)
    outside = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(inputs[:, 1:], outcome)
    assert fit.values == pytest.approx([outside.intercept_[0], *outside.coef_[0]], abs=1e-5)
    assert fit.identified.all()


def test_errors_are_those_of_repeated_samples():
    """Spread of the coefficients over fresh samples of one distribution, against the errors each fit states."""
    g, values, errors = np.random.default_rng(1), [], []
    for _ in range(300):
        inputs = np.column_stack([np.ones(400), g.normal(size=(400, 2))])
        outcome = (g.random(400) < 1 / (1 + np.exp(-inputs @ [0.5, 1.0, -1.0]))).astype(float)
        fit = logistic_fit(inputs, outcome)
        values.append(fit.values)
        errors.append(fit.errors)
    assert np.std(values, axis=0) == pytest.approx(np.mean(errors, axis=0), rel=0.15)


def test_least_squares_agrees_with_scipy():
    g = np.random.default_rng(0)
    x = g.random(50)
    y = 3 * x + g.normal(size=50)
    fit, outside = linear_fit(np.column_stack([np.ones(50), x]), y), stats.linregress(x, y)
    assert fit.values == pytest.approx([outside.intercept, outside.slope])
    assert fit.errors == pytest.approx([outside.intercept_stderr, outside.stderr])


def test_what_the_rows_do_not_decide_is_said(design):
    inputs, outcome = design
    doubled = np.column_stack([inputs, inputs[:, 1], np.full(len(inputs), 0.5)])
    for fit in (logistic_fit(doubled, outcome), linear_fit(doubled, outcome)):
        assert fit.identified.tolist() == [False, False, True, True, True, False, False]
    few = linear_fit(inputs[:3], outcome[:3])
    assert not few.identified.any()


def test_separated_outcomes_end_with_finite_numbers(design):
    inputs = design[0]
    fit = logistic_fit(inputs, (inputs[:, 1] > 0).astype(float))
    assert np.isfinite(fit.values).all()
    assert np.isfinite(fit.errors).all()


number, width = st.floats(-5, 5), st.floats(0.01, 5)


@given(number, width, number, width)
def test_overlap_by_the_formula(a, s, b, t):
    z = stats.norm.ppf(0.975)
    low, high, other_low, other_high = a - z * s, a + z * s, b - z * t, b + z * t
    meeting = max(min(high, other_high) - max(low, other_low), 0.0)
    expected = (meeting / (high - low) + meeting / (other_high - other_low)) / 2
    found = overlaps(sound([a], [s]), sound([b], [t]))[0]
    assert found == pytest.approx(expected, abs=1e-12)
    assert found == pytest.approx(overlaps(sound([b], [t]), sound([a], [s]))[0])
    assert overlaps(sound([a], [s]), sound([a], [s]))[0] == pytest.approx(1.0)


def test_intervals_without_width_are_met_or_not():
    assert overlaps(sound([0, 0, 0], [0, 0, 1]), sound([0, 1, 0], [0, 0, 0])).tolist() == [1.0, 0.0, 0.5]


def test_two_real_samples_overlap_by_about_seven_tenths(domain, draw):
    """E[1 - |Z| sqrt(2) / (2 * 1.96)] with Z standard normal, cut at 0: .713."""
    z = np.abs(np.random.default_rng(0).normal(size=100_000)) * np.sqrt(2) / (2 * 1.96)
    found = [measure(draw(3000, seed), draw(3000, 100 + seed), domain).value for seed in range(12)]
    assert np.mean(found) == pytest.approx(np.maximum(1 - z, 0).mean(), abs=0.07)


def test_equal_tables_overlap_fully_and_damage_is_seen(domain, draw):
    real = draw(4000, 0)
    same = measure(real, real, domain)
    assert same.value == pytest.approx(1.0)
    assert {"age", "gain", "gain missing", "region = south"} <= set(same.parts)
    assert "region = north" not in same.parts  # the commonest level is what the others are compared with
    lost = measure(real.assign(age=np.random.default_rng(0).permutation(real["age"])), real, domain)
    assert lost.parts["age"] == 0.0
    assert lost.value < 0.9


def test_a_numeric_label_is_fitted_by_least_squares():
    domain = Domain.from_yaml(
        "columns:\n  x: {kind: number, bounds: [0, 1]}\n  y: {kind: number, bounds: [-10, 10], label: true}\n"
    )
    g = np.random.default_rng(0)
    x = g.random(500)
    frame = pd.DataFrame({"x": x, "y": 6 * x + g.normal(0, 0.3, 500)})
    assert measure(frame, frame, domain).detail["model"] == "least squares"
    assert measure(frame.assign(y=-frame["y"]), frame, domain).value == 0.0


def test_rare_levels_and_many_columns_are_bounded():
    names = [f"c{k}" for k in range(5000)]
    lines = "".join(f"  x{k}: {{kind: number, bounds: [0, 1]}}\n" for k in range(60))
    domain = Domain.from_yaml(
        f"columns:\n  city: {{kind: category, categories: [{', '.join(names)}]}}\n{lines}"
        "  y: {kind: boolean, label: true}\n"
    )
    g = np.random.default_rng(0)
    frame = pd.DataFrame({f"x{k}": g.random(400) for k in range(60)} | {"y": g.random(400) < 0.5})
    frame["city"] = np.array(names, dtype=object)[np.minimum(g.geometric(0.3, 400), 4999)]
    score = measure(frame.tail(200), frame.head(200), domain, columns=61)
    assert sum(name.startswith("city") for name in score.parts) <= 6
    assert len(measure(frame.tail(200), frame.head(200), domain).parts) <= 30 + 6
