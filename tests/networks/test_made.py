"""The order is kept: no output sees its own column or a later one."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.networks.masked import MADE

widths = st.lists(st.integers(1, 4), min_size=1, max_size=6)


@given(widths, st.data(), st.integers(1, 9), st.integers(0, 2))
@settings(max_examples=25, deadline=None)
def test_outputs_see_strictly_earlier_columns_only(inputs, data, hidden, layers):
    outputs = data.draw(st.lists(st.integers(1, 4), min_size=len(inputs), max_size=len(inputs)))
    made = MADE(inputs, outputs, hidden, layers, torch.Generator().manual_seed(0)).double()
    made.last.weight.data.add_(1.0)  # near-zero outputs would hide a leak
    features = torch.randn(1, sum(inputs), dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(made, features)[0, :, 0]
    column_in = torch.repeat_interleave(torch.arange(len(inputs)), torch.tensor(inputs))
    column_out = torch.repeat_interleave(torch.arange(len(inputs)), torch.tensor(outputs))
    forbidden = column_in[None, :] >= column_out[:, None]
    assert jacobian[forbidden].abs().max() == 0


def test_every_earlier_column_is_seen_when_units_suffice():
    made = MADE([2, 2, 2, 2], [3, 3, 3, 3], 12, 1, torch.Generator().manual_seed(0))
    jacobian = torch.autograd.functional.jacobian(made, torch.randn(1, 8))[0, :, 0].abs()
    blocks = jacobian.reshape(4, 3, 4, 2).sum((1, 3))
    assert (blocks[torch.tril_indices(4, 4, -1).unbind()] > 0).all()


def test_one_column_alone_equals_the_whole_pass():
    made = MADE([3, 4, 5], [2, 6, 4], 16, 2, torch.Generator().manual_seed(1))
    features = torch.randn(7, 12)
    whole = made(features)
    torch.testing.assert_close(made.column(features, slice(2, 8)), whole[:, 2:8])


def test_a_generator_decides_the_weights():
    one, two = (MADE([3, 3], [2, 2], 8, 1, torch.Generator().manual_seed(5)) for _ in range(2))
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)
