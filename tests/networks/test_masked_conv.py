"""The masked convolution against the plain one with a masked kernel, and what each place sees."""

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from dpsynth.networks.masked import MaskedConv2d

sizes = st.integers(1, 5)
reaches = st.integers(0, 3)


@given(reaches, reaches, st.booleans(), sizes, sizes, st.integers(0, 4))
@settings(max_examples=40, deadline=None)
@example(above=0, beside=0, strict=False, height=2, width=3, count=0)  # a batch that drew nobody
def test_it_is_a_convolution_with_a_masked_kernel(above, beside, strict, height, width, count):
    layer = MaskedConv2d(2, 3, above, beside, strict)
    rows, columns = 2 * above + 1, 2 * beside + 1
    order = torch.arange(rows * columns).view(rows, columns)
    mask = order < order[above, beside] if strict else order <= order[above, beside]
    kernel = torch.zeros(3, 2, rows, columns)
    kernel[:, :, mask] = layer.weight.detach()
    x = torch.randn(count, 2, height, width)
    expected = F.conv2d(x, kernel, layer.bias, padding=(above, beside))
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)
    from_patches = torch.einsum("nithw,oit->nohw", layer.patches(x), layer.weight)
    torch.testing.assert_close(from_patches + layer.bias[:, None, None], expected, rtol=1e-4, atol=1e-5)


def test_every_earlier_place_of_the_window_is_seen_and_no_other():
    for strict in (True, False):
        layer = MaskedConv2d(1, 1, 1, 2, strict).double()
        jacobian = torch.autograd.functional.jacobian(layer, torch.randn(1, 1, 3, 5, dtype=torch.float64))
        seen = jacobian.view(15, 15) != 0
        for place, (row, column) in enumerate((r, c) for r in range(3) for c in range(5)):
            window = {(row - 1, column + d) for d in range(-2, 3)} | {(row, column - 2), (row, column - 1)}
            window |= set() if strict else {(row, column)}
            inside = {r * 5 + c for r, c in window if 0 <= r < 3 and 0 <= c < 5}
            assert set(seen[place].nonzero().flatten().tolist()) == inside
