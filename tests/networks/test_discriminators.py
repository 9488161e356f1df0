"""Stacked discriminators are the modules they stand for, and their members are strangers to each other."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, leaky_relu

from dpsynth.networks.discriminators import StackedConv, StackedMLP

MLP = StackedMLP(12, 3, 5)
CONV = StackedConv((2, 9, 7), 3, hidden=4, kernel=5, stride=2)
PLAIN = StackedMLP(12, 3, 5, linear=False)
NETWORKS = [MLP, PLAIN, CONV]


def inputs(network) -> int:
    return network.inputs if isinstance(network, StackedMLP) else 2 * 9 * 7


def filled(network, members: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(part.shape, generator=generator) for part in network.parameters(members, generator)]


def naive(network, parameters: list[torch.Tensor], x: torch.Tensor, y: torch.Tensor, member: int) -> torch.Tensor:
    """One member's logits the ordinary way."""
    first, bias, last, *straight, offset = (part[member] for part in parameters)
    if isinstance(network, StackedMLP):
        hidden = leaky_relu(x @ first.T + bias, 0.2)
        return (hidden * last[y]).sum(1) + ((straight[0][y] * x).sum(1) if network.linear else 0) + offset[y]
    kernel = first.view(network.hidden, 2, 5, 5)
    hidden = leaky_relu(conv2d(x.view(-1, 2, 9, 7), kernel, bias, stride=2, padding=2), 0.2)
    hidden = hidden.flatten(2).transpose(1, 2).flatten(1)
    return (hidden * last[y]).sum(1) + offset[y]


@pytest.mark.parametrize("network", NETWORKS, ids=["mlp", "plain", "conv"])
def test_equal_to_a_loop_over_members(network):
    generator = torch.Generator().manual_seed(1)
    parameters = filled(network, 4)
    x = torch.randn(6, inputs(network), generator=generator, requires_grad=True)
    y = torch.tensor([0, 1, 2, 0, 1, 2])
    own, kinds = torch.randn(4, 5, inputs(network), generator=generator), torch.randint(3, (4, 5), generator=generator)
    logits, slopes = network.slopes(parameters, x, y)
    torch.testing.assert_close(logits, network.common(parameters, x, y))
    for member in range(4):
        alone = naive(network, parameters, x, y, member)
        torch.testing.assert_close(logits[member], alone, rtol=1e-4, atol=1e-4)
        (slope,) = torch.autograd.grad(alone.sum(), x)
        torch.testing.assert_close(slopes[member], slope, rtol=1e-4, atol=1e-4)
        apart = naive(network, parameters, own[member], kinds[member], member)
        torch.testing.assert_close(network.own(parameters, own, kinds)[member], apart, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("network", NETWORKS, ids=["mlp", "plain", "conv"])
def test_members_have_distinct_storage_and_the_stated_size(network):
    for alike in (True, False):
        parameters = network.parameters(3, torch.Generator().manual_seed(0), alike)
        assert sum(part[0].numel() for part in parameters) == network.size
        for part in parameters:
            spans = [(part[i].data_ptr(), part[i].data_ptr() + 4 * part[i].numel()) for i in range(3)]
            assert all(spans[i][1] <= spans[i + 1][0] for i in range(2))
        assert parameters[0][0].equal(parameters[0][1]) == alike


@pytest.mark.parametrize("network", NETWORKS, ids=["mlp", "plain", "conv"])
def test_a_changed_member_leaves_the_others_bits(network):
    parameters, x, y = filled(network, 5), torch.randn(7, inputs(network)), torch.arange(7) % 3
    other = [part.clone() for part in parameters]
    for part in other:
        part[2] *= -3
    for one, two in zip(network.slopes(parameters, x, y), network.slopes(other, x, y), strict=True):
        assert one[[0, 1, 3, 4]].equal(two[[0, 1, 3, 4]])


def test_defaults_are_lean():
    assert StackedMLP(192, 10).size <= 50_000
    assert StackedConv((3, 64, 64), 2).size <= 50_000
    assert StackedConv((1, 28, 28), 10).size <= 50_000


def test_a_member_learns_to_tell_two_classes_of_points_apart():
    """B40: the sign of the loss."""
    network, generator = StackedMLP(2, 1, 16), torch.Generator().manual_seed(0)
    parameters = [nn.Parameter(part) for part in network.parameters(1, generator)]
    optimizer = torch.optim.Adam(parameters, lr=0.05)
    real, fake, none = torch.randn(64, 2) + 2, torch.randn(64, 2) - 2, torch.zeros(64, dtype=torch.long)
    for _ in range(60):
        loss = (nn.functional.softplus(-network.common(parameters, real, none)) + nn.functional.softplus(
            network.common(parameters, fake, none))).mean()  # fmt: skip
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        assert float((network.common(parameters, real, none) > 0).float().mean()) > 0.95
