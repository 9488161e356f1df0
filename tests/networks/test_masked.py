"""The masked layer: mask, moves, loading, and its group sums against plain products."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from dpsynth.networks import MaskedLinear

degrees = st.lists(st.integers(-2, 9), min_size=1, max_size=24)


def expected_mask(low: list[int], high: list[int], strict: bool) -> torch.Tensor:
    return torch.tensor([[float(h > d if strict else h >= d) for d in low] for h in high])


@given(low=degrees, high=degrees, strict=st.booleans())
@settings(deadline=None)
def test_mask_follows_the_degrees(low: list[int], high: list[int], strict: bool) -> None:
    layer = MaskedLinear(low, high, strict)
    mask = expected_mask(low, high, strict)
    assert torch.equal(layer.mask, mask)
    assert torch.equal(layer.weight, layer.weight * mask)
    x = torch.randn(3, len(low))
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight * mask, layer.bias))


@given(
    low=degrees,
    high=degrees,
    strict=st.booleans(),
    bias=st.booleans(),
    ordered=st.booleans(),
    repeats=st.sampled_from([1, 20]),
)
@settings(deadline=None)
def test_group_sums_equal_plain_products(
    low: list[int], high: list[int], strict: bool, bias: bool, ordered: bool, repeats: int
) -> None:
    """Wide layers (repeats) go by groups and by blocks, narrow ones by plain products."""
    low, high = low * repeats, high * repeats
    if ordered:
        low, high = sorted(low), sorted(high)
    layer = MaskedLinear(low, high, strict).double()
    a, b = torch.randn(5, len(low), dtype=torch.float64), torch.randn(5, len(high), dtype=torch.float64)
    formed = torch.einsum("no,ni->noi", b, a) * layer.mask
    norms = formed.square().sum((1, 2)) + bias * b.square().sum(1)
    torch.testing.assert_close(layer.squared_outer_norms(a, b, bias), norms)
    sums = layer.outer_sum(a, b)
    torch.testing.assert_close(torch.where(layer.mask > 0, sums, 0.0), formed.sum(0))


def test_both_ways_of_summing_are_reached() -> None:
    wide = MaskedLinear([0, 1] * 100, [0, 1] * 100, strict=False)
    assert wide._seen.shape == (200, 16)
    assert len(MaskedLinear([0] * 50 + [1] * 50, [0] * 50 + [1] * 50, strict=False)._blocks) == 4
    assert len(wide._blocks) == 1


def test_masked_weights_never_count() -> None:
    layer = MaskedLinear([0, 1, 2], [0, 1, 2], strict=True)
    x, before = torch.randn(4, 3), None
    before = layer(x)
    with torch.no_grad():
        layer.weight.add_(7 * (1 - layer.mask))  # as a careless loader or optimizer might
    torch.testing.assert_close(layer(x), before)
    layer(x).sum().backward()
    assert layer.weight.grad is not None
    assert not (layer.weight.grad * (1 - layer.mask)).any()


def test_state_dict_holds_parameters_only_and_module_has_no_buffers() -> None:
    layer = MaskedLinear([0, 1], [1, 0, 1], strict=False)
    assert set(layer.state_dict()) == {"weight", "bias"}
    assert not list(layer.buffers())
    other = MaskedLinear([0, 1], [1, 0, 1], strict=False)
    other.load_state_dict(layer.state_dict())
    x = torch.randn(2, 2)
    assert torch.equal(layer(x), other(x))


def test_moves_rebuild_the_mask() -> None:
    network = nn.Sequential(MaskedLinear([0, 1], [1, 0], strict=False))
    layer = network[0]
    assert isinstance(layer, MaskedLinear)
    mask = layer.mask
    network.double()
    assert layer.mask.dtype == layer._seen.dtype == torch.float64
    network.to("meta")
    assert layer.mask.device.type == "meta"
    network.to_empty(device="cpu")
    assert torch.equal(layer.mask, mask.double())
    with torch.device("meta"):
        assert MaskedLinear([0, 1], [1, 0], strict=False).to_empty(device="cpu").mask.equal(mask)
    assert torch.equal(copy.deepcopy(layer).mask, layer.mask)


def test_initial_weights_come_from_the_generator() -> None:
    layers = [
        MaskedLinear(range(6), range(6), True, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    ]
    assert torch.equal(layers[0].weight, layers[1].weight)
    assert not torch.equal(layers[0].weight, layers[2].weight)
    assert float(layers[0].weight.detach().abs().max()) <= 1 / math.sqrt(6)


@pytest.mark.parametrize("strict", [False, True])
def test_degrees_compose_to_an_autoregressive_network(strict: bool) -> None:
    """Output j of first-hidden-last depends on inputs before j, and on no other."""
    columns, hidden = range(5), [unit % 5 for unit in range(20)]
    last = range(5) if strict else range(-1, 4)
    network = nn.Sequential(MaskedLinear(columns, hidden, False), nn.Tanh(), MaskedLinear(hidden, last, strict))
    jacobian = torch.autograd.functional.jacobian(network, torch.randn(5))
    assert isinstance(jacobian, torch.Tensor)
    assert torch.equal(jacobian != 0, torch.ones(5, 5).tril(-1) > 0)
