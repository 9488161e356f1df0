"""Every conditional is a probability distribution: it sums and integrates to one, and its parts agree with each
other."""

import pytest
import torch
from scipy import stats

from dpsynth.networks.conditionals import Affine, Layout, Softmax, Spline

EDGES = torch.tensor([0.0, 0.1, 0.35, 0.6, 1.0])
NUMERIC_COLUMN = Layout(6, EDGES, on_axis=True)  # four value bins, a point mass, missing
CATEGORY = Layout(4, torch.linspace(0, 1, 5), on_axis=False)
DISTRIBUTIONS = {
    "softmax": Softmax(NUMERIC_COLUMN),
    "spline": Spline(NUMERIC_COLUMN, 5),
    "affine": Affine(NUMERIC_COLUMN),
}


@pytest.fixture(params=list(DISTRIBUTIONS))
def distribution(request):
    return DISTRIBUTIONS[request.param]


def outputs(distribution, rows=1, scale=1.0, seed=0):
    return scale * torch.randn(rows, distribution.width, generator=torch.Generator().manual_seed(seed))


def test_code_probabilities_sum_to_one(distribution):
    probabilities = distribution.probabilities(outputs(distribution, 50, 2.0))
    assert probabilities.shape == (50, 6)
    assert (probabilities >= 0).all()
    torch.testing.assert_close(probabilities.sum(1), torch.ones(50))


def test_density_integrates_to_the_probability_of_its_bin(distribution):
    out = outputs(distribution).double()
    probabilities = distribution.probabilities(out)[0]
    grid = torch.linspace(0, 1, 200_001, dtype=torch.float64)
    middle = (grid[1:] + grid[:-1]) / 2
    codes = (torch.searchsorted(EDGES.double(), middle, right=True) - 1).clamp(0, 3)
    density = torch.exp(-distribution.negative_log_likelihood(out.expand(len(middle), -1), codes, middle))
    mass = torch.zeros(4, dtype=torch.float64).scatter_add_(0, codes, density) / len(middle)
    torch.testing.assert_close(mass, probabilities[:4], atol=2e-4, rtol=2e-3)


def test_codes_without_a_position_have_their_probability(distribution):
    out = outputs(distribution, 2)
    codes = torch.tensor([4, 5])
    loss = distribution.negative_log_likelihood(out, codes, torch.tensor([0.5, 0.9]))
    torch.testing.assert_close(torch.exp(-loss), distribution.probabilities(out)[torch.arange(2), codes])


def test_cumulative_at_the_edges_adds_up_the_bins(distribution):
    out = outputs(distribution)
    probabilities = distribution.probabilities(out)[0, :4]
    fraction = probabilities / probabilities.sum()
    below = distribution.cumulative(out.expand(5, -1), EDGES)
    torch.testing.assert_close(below, torch.cat([torch.zeros(1), fraction.cumsum(0)]), atol=1e-5, rtol=1e-4)


def test_positions_stay_in_their_bin_and_follow_the_cumulative(distribution):
    generator = torch.Generator().manual_seed(3)
    out = outputs(distribution).expand(4000, -1)
    codes = torch.multinomial(distribution.probabilities(out[:1])[0], 4000, replacement=True, generator=generator)
    positions = distribution.units(out, codes, generator)
    values = codes < 4
    assert (positions[values] >= EDGES[codes[values]]).all()
    assert (positions[values] <= EDGES[codes[values] + 1]).all()
    uniform = distribution.cumulative(out[values], positions[values])
    assert stats.kstest(uniform.numpy(), "uniform").pvalue > 1e-3


def test_base_coordinates_of_own_draws_are_standard_normal(distribution):
    generator = torch.Generator().manual_seed(4)
    out = outputs(distribution).expand(4000, -1)
    codes = torch.multinomial(distribution.probabilities(out[:1])[0], 4000, replacement=True, generator=generator)
    base = distribution.base(out, codes, distribution.units(out, codes, generator), generator)
    assert stats.kstest(base.numpy(), "norm").pvalue > 1e-3


def test_categories_are_a_plain_softmax():
    distribution = Softmax(CATEGORY)
    out = outputs(distribution, 3)
    loss = distribution.negative_log_likelihood(out, torch.tensor([0, 1, 3]), torch.zeros(3))
    torch.testing.assert_close(torch.exp(-loss), out.softmax(1)[torch.arange(3), torch.tensor([0, 1, 3])])


def test_zero_outputs_of_a_spline_are_the_even_density():
    distribution = Spline(NUMERIC_COLUMN, 5)
    positions = torch.rand(20)
    torch.testing.assert_close(
        distribution.cumulative(torch.zeros(20, distribution.width), positions), positions, atol=1e-4, rtol=0
    )


def test_extreme_outputs_stay_finite(distribution):
    out = outputs(distribution, 200, 50.0)
    codes = torch.randint(0, 6, (200,), generator=torch.Generator().manual_seed(0))
    units = torch.rand(200)
    assert torch.isfinite(distribution.negative_log_likelihood(out, codes, units)).all()
    drawn = distribution.units(out, codes, torch.Generator().manual_seed(1))
    assert ((drawn >= 0) & (drawn <= 1)).all()
