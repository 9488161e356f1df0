"""Every conditional is a probability law: it sums and integrates to one, and its parts agree with each other."""

import pytest
import torch
from scipy import stats

from dpsynth.networks.conditionals import Affine, Layout, Softmax, Spline

EDGES = torch.tensor([0.0, 0.1, 0.35, 0.6, 1.0])
QUANTITY = Layout(6, EDGES, on_axis=True)  # four value bins, a spike, missing
CATEGORY = Layout(4, torch.linspace(0, 1, 5), on_axis=False)
LAWS = {"softmax": Softmax(QUANTITY), "spline": Spline(QUANTITY, 5), "affine": Affine(QUANTITY)}


@pytest.fixture(params=list(LAWS))
def law(request):
    return LAWS[request.param]


def outputs(law, rows=1, scale=1.0, seed=0):
    return scale * torch.randn(rows, law.width, generator=torch.Generator().manual_seed(seed))


def test_code_probabilities_sum_to_one(law):
    probabilities = law.probabilities(outputs(law, 50, 2.0))
    assert probabilities.shape == (50, 6)
    assert (probabilities >= 0).all()
    torch.testing.assert_close(probabilities.sum(1), torch.ones(50))


def test_density_integrates_to_the_probability_of_its_bin(law):
    out = outputs(law).double()
    probabilities = law.probabilities(out)[0]
    grid = torch.linspace(0, 1, 200_001, dtype=torch.float64)
    middle = (grid[1:] + grid[:-1]) / 2
    codes = (torch.searchsorted(EDGES.double(), middle, right=True) - 1).clamp(0, 3)
    density = torch.exp(-law.negative_log_likelihood(out.expand(len(middle), -1), codes, middle))
    mass = torch.zeros(4, dtype=torch.float64).scatter_add_(0, codes, density) / len(middle)
    torch.testing.assert_close(mass, probabilities[:4], atol=2e-4, rtol=2e-3)


def test_codes_without_a_position_have_their_probability(law):
    out = outputs(law, 2)
    codes = torch.tensor([4, 5])
    loss = law.negative_log_likelihood(out, codes, torch.tensor([0.5, 0.9]))
    torch.testing.assert_close(torch.exp(-loss), law.probabilities(out)[torch.arange(2), codes])


def test_cumulative_at_the_edges_adds_up_the_bins(law):
    out = outputs(law)
    probabilities = law.probabilities(out)[0, :4]
    share = probabilities / probabilities.sum()
    below = law.cumulative(out.expand(5, -1), EDGES)
    torch.testing.assert_close(below, torch.cat([torch.zeros(1), share.cumsum(0)]), atol=1e-5, rtol=1e-4)


def test_positions_stay_in_their_bin_and_follow_the_cumulative(law):
    generator = torch.Generator().manual_seed(3)
    out = outputs(law).expand(4000, -1)
    codes = torch.multinomial(law.probabilities(out[:1])[0], 4000, replacement=True, generator=generator)
    positions = law.units(out, codes, generator)
    values = codes < 4
    assert (positions[values] >= EDGES[codes[values]]).all()
    assert (positions[values] <= EDGES[codes[values] + 1]).all()
    uniform = law.cumulative(out[values], positions[values])
    assert stats.kstest(uniform.numpy(), "uniform").pvalue > 1e-3


def test_base_coordinates_of_own_draws_are_standard_normal(law):
    generator = torch.Generator().manual_seed(4)
    out = outputs(law).expand(4000, -1)
    codes = torch.multinomial(law.probabilities(out[:1])[0], 4000, replacement=True, generator=generator)
    base = law.base(out, codes, law.units(out, codes, generator), generator)
    assert stats.kstest(base.numpy(), "norm").pvalue > 1e-3


def test_categories_are_a_plain_softmax():
    law = Softmax(CATEGORY)
    out = outputs(law, 3)
    loss = law.negative_log_likelihood(out, torch.tensor([0, 1, 3]), torch.zeros(3))
    torch.testing.assert_close(torch.exp(-loss), out.softmax(1)[torch.arange(3), torch.tensor([0, 1, 3])])


def test_zero_outputs_of_a_spline_are_the_even_density():
    law = Spline(QUANTITY, 5)
    positions = torch.rand(20)
    torch.testing.assert_close(law.cumulative(torch.zeros(20, law.width), positions), positions, atol=1e-4, rtol=0)


def test_extreme_outputs_stay_finite(law):
    out = outputs(law, 200, 50.0)
    codes = torch.randint(0, 6, (200,), generator=torch.Generator().manual_seed(0))
    units = torch.rand(200)
    assert torch.isfinite(law.negative_log_likelihood(out, codes, units)).all()
    drawn = law.units(out, codes, torch.Generator().manual_seed(1))
    assert ((drawn >= 0) & (drawn <= 1)).all()
