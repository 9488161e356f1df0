"""The flow as a distribution over rows: exact against brute force on small discrete tables."""

import itertools

import pytest
import torch
from scipy import stats

from dpsynth.networks.conditionals import Affine, Layout, Softmax, Spline
from dpsynth.networks.flow import TabularFlow, _draw

SIZES = (2, 3, 4)


def categories(order=(2, 0, 1), seed=0):
    conditionals = [Softmax(Layout(size, torch.linspace(0, 1, size + 1), on_axis=False)) for size in SIZES]
    flow = TabularFlow(conditionals, order, 12, 1, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)) * 0.5)
    return flow


@pytest.fixture
def every_row():
    return torch.tensor(list(itertools.product(*map(range, SIZES))))


def test_probabilities_of_all_rows_sum_to_one(every_row):
    for order in itertools.permutations(range(3)):
        flow = categories(order)
        total = flow.log_density(every_row, torch.zeros(len(every_row), 3)).exp().sum()
        torch.testing.assert_close(total, torch.ones(()), atol=1e-5, rtol=0)


def test_samples_follow_the_probabilities(every_row):
    flow = categories()
    distribution = flow.log_density(every_row, torch.zeros(len(every_row), 3)).exp().detach()
    codes, _ = flow.sample(20_000, torch.Generator().manual_seed(1))
    index = codes[:, 0] * 12 + codes[:, 1] * 4 + codes[:, 2]
    seen = torch.bincount(index, minlength=24).double()
    expected = distribution.double() / distribution.double().sum() * 20_000
    assert stats.chisquare(seen.numpy(), expected.numpy()).pvalue > 1e-3


@pytest.mark.parametrize("condition", [{2: (1, 0.0)}, {1: (2, 0.0)}, {0: (1, 0.0), 2: (3, 0.0)}])
def test_conditions_give_the_conditional_distribution(every_row, condition):
    flow = categories()
    distribution = flow.log_density(every_row, torch.zeros(len(every_row), 3)).exp().detach()
    keep = torch.stack([every_row[:, j] == code for j, (code, _) in condition.items()]).all(0)
    codes, _ = flow.sample(30_000, torch.Generator().manual_seed(2), condition)
    index = codes[:, 0] * 12 + codes[:, 1] * 4 + codes[:, 2]
    seen = torch.bincount(index, minlength=24)[keep].double()
    assert seen.sum() == len(codes)
    expected = distribution[keep].double() / distribution[keep].double().sum() * len(codes)
    assert stats.chisquare(seen.numpy(), expected.numpy()).pvalue > 1e-3


def test_conditions_on_the_first_columns_drop_no_row():
    codes, _ = categories(order=(2, 0, 1)).sample(500, torch.Generator().manual_seed(0), {2: (1, 0.0), 0: (0, 0.0)})
    assert len(codes) == 500


def test_columns_are_matched_and_their_odds_kept(every_row):
    """A bias for every code changes how often it is drawn, and no odds ratio between contexts."""
    flow = categories()
    before = [p.log() for p in flow.probabilities(every_row)]
    wanted = {0: torch.tensor([0.9, 0.1]), 1: torch.tensor([0.1, 0.2, 0.7])}
    flow.match(wanted, 20_000, torch.Generator().manual_seed(0))
    codes, _ = flow.sample(20_000, torch.Generator().manual_seed(1))
    for j, probabilities in wanted.items():
        found = torch.bincount(codes[:, j], minlength=SIZES[j]) / len(codes)
        torch.testing.assert_close(found, probabilities, atol=0.015, rtol=0)
    after = [p.log() for p in flow.probabilities(every_row)]
    for one, other in zip(before, after, strict=True):
        ratios = [(each - each[:, :1]) - (each - each[:, :1])[:1] for each in (one, other)]
        torch.testing.assert_close(*ratios, atol=1e-4, rtol=1e-4)


def test_base_of_own_samples_is_standard_normal():
    layout = Layout(5, torch.tensor([0.0, 0.2, 0.5, 1.0]), on_axis=True)
    conditionals = [Softmax(layout), Spline(layout, 4)]
    flow = TabularFlow(conditionals, (1, 0), 8, 1, generator=torch.Generator().manual_seed(0))
    codes, units = flow.sample(4000, torch.Generator().manual_seed(1))
    base = flow.base(codes, units, torch.Generator().manual_seed(2))
    for j in range(2):
        assert stats.kstest(base[:, j].numpy(), "norm").pvalue > 1e-3
    assert abs(torch.corrcoef(base.T)[0, 1]) < 0.06


def test_no_rows_give_no_rows():
    codes, units = categories().sample(0, torch.Generator())
    assert codes.shape == units.shape == (0, 3)


@pytest.mark.parametrize("kind", [lambda layout: Spline(layout, 4), Affine])
def test_a_condition_that_no_row_meets_gives_no_rows(kind):
    """Rejection leaves nothing for the columns that follow."""
    layout = Layout(5, torch.tensor([0.0, 0.2, 0.5, 1.0]), on_axis=True)
    flow = TabularFlow([kind(layout), Softmax(layout), kind(layout)], (0, 1, 2), 8, 1)
    with torch.no_grad():
        flow.network.last.bias[flow.conditionals[0].width] += 100.0  # column 1 is its first code, surely
    for rows, where in ((0, {}), (20, {1: (2, 0.3)})):
        codes, units = flow.sample(rows, torch.Generator().manual_seed(0), where)
        assert codes.shape == units.shape == (0, 3)


def test_rows_of_one_context_share_out_the_codes():
    """How often a code is drawn in a context scatters by one row at most, wherever its rows stand."""
    context = torch.randint(2, (1000,), generator=torch.Generator().manual_seed(0))
    probabilities = torch.tensor([[0.25, 0.75], [0.6, 0.4]])[context]
    drawn = _draw(probabilities, torch.Generator().manual_seed(1), context)
    for k in range(2):
        rows = drawn[context == k]
        assert abs(float((rows == 0).sum()) - len(rows) * float(probabilities[context == k][0, 0])) <= 1
        assert 0 < rows[: len(rows) // 2].float().mean() < 1  # not sorted
