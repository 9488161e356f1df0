"""Building blocks of maps that treat every row alone, to the last bit.

What one row adds to a query is bounded by the mechanism. That bound is the sensitivity only if the terms of all *other*
rows stay exactly as they are when the row comes or goes. Floating-point libraries do not promise that: a matrix product
picks its kernel by the number of rows and sums in an order that depends on the kernel (one row alone is a matrix-vector
product), a reduction is split among threads by the size of the whole, distances switch to another formula above 25
points (`torch.cdist`), and the last elements of a vectorised loop may run other code than the rest. The differences are
in the last bits, but a nearest neighbour or a rounded value turns a last bit into a whole vote.

Four kinds of operations give the same bits by the standard (IEEE 754), whatever the library, the processor, the number
of threads, the number of rows and the place among them. Maps of private rows are made of these alone:

    1  one addition, subtraction, multiplication, division, square root, comparison, rounding or conversion of each
       element, as an operation of its own: its result is the correctly rounded one, so there is only one. A fused
       multiply-add rounds once where two operations round twice, and a library may fuse in one loop and not in
       another: hence no `addcmul`, `addmm`, `lerp` or `add(alpha=)`
    2  sums of such in an order that the shape of a single row fixes: `row_sums`, `window_sums`
    3  matrix products in which every product and every partial sum is a whole multiple of one unit, below 2^53 units in
       float64: nothing is rounded, so order and kernel cannot matter: `ExactProduct`, `nearest`
    4  reading a table, made once from public numbers, at a position found by operations of kinds 1 to 3: in the place
       of cosines, arcs and other functions that the standard does not fix
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

MOST_UNITS = 2.0**53  # whole numbers up to here are exact in float64


def row_sums(x: Tensor) -> Tensor:
    """(...,) sums over the last axis of (..., width), by adding halves to each other; 0 where the width is 0.

    The order of the additions follows from the width alone.

    >>> row_sums(torch.tensor([[1.0, 2.0, 4.0]]))
    tensor([7.])
    """
    if x.shape[-1] == 0:
        return x.new_zeros(x.shape[:-1])
    while x.shape[-1] > 1:
        half = x.shape[-1] // 2
        halved = x[..., :half] + x[..., half : 2 * half]
        if x.shape[-1] % 2:
            halved[..., 0] += x[..., -1]
        x = halved
    return x[..., 0]


def row_norms(x: Tensor) -> Tensor:
    """(...,) Euclidean norms along the last axis."""
    return row_sums(x * x).sqrt()


def window_sums(x: Tensor, kernel: tuple[int, int], stride: int) -> Tensor:
    """(..., h, w) sums over windows of the last two axes, without padding: rows of a window first, then its columns."""
    height, width = ((x.shape[k] - kernel[k]) // stride + 1 for k in (-2, -1))
    tall = [x[..., k : k + (height - 1) * stride + 1 : stride, :] for k in range(kernel[0])]
    summed = _added(tall)
    return _added([summed[..., k : k + (width - 1) * stride + 1 : stride] for k in range(kernel[1])])


def window_means(x: Tensor, size: int) -> Tensor:
    """(..., h, w) means over windows of `size` x `size` side by side; the last ones are as large as the rest of it."""
    sums, counts = window_totals(x, size)
    return sums / counts


def window_totals(x: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The sums of `window_means`, (..., h, w), and how many elements each has, (h, w)."""
    height, width = x.shape[-2:]
    padding = (0, -width % size, 0, -height % size)
    sums = window_sums(pad(x, padding), (size, size), size)
    tall, wide = (torch.full((-(-side // size),), float(size)) for side in (height, width))
    tall[-1] -= padding[3]
    wide[-1] -= padding[1]
    return sums, (tall[:, None] * wide).to(x.device, x.dtype)


def windows(side: int, fewer: int) -> Tensor:
    """(fewer, side) float64: one where a place of a side belongs to one of `fewer` windows, which may overlap by one.

    Sums over windows of whole numbers, `tall @ x @ wide.T`, are exact.
    """
    place, window = torch.arange(side), torch.arange(fewer)[:, None]
    first, last = window * side // fewer, ((window + 1) * side - 1) // fewer
    return ((first <= place) & (place <= last)).to(torch.float64)


def smoothed(x: Tensor, axis: int) -> Tensor:
    """`x` under the binomial weights 1/4, 1/2, 1/4 along an axis, which loses its two ends."""
    length = x.shape[axis] - 2
    before, here, after = (x.narrow(axis, start, length) for start in range(3))
    return (before + after) * 0.25 + here * 0.5


def _added(parts: list[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


class ExactProduct:
    """`rows @ matrix` for rows of whole numbers: computed without any rounding.

    The matrix (inputs, outputs) is rounded once, to multiples of a unit so small that no entry moves by more than one
    part in 2^51 of the largest possible result, and so large that every sum of terms in float64 is exact.

    matrix: public. largest: bound on the magnitude of the rows' entries.
    """

    def __init__(self, matrix: Tensor, largest: int) -> None:
        wide = matrix.detach().to("cpu", torch.float64)
        most = float(wide.abs().sum(0).max()) * largest if wide.numel() else 0.0
        if len(wide) * largest > MOST_UNITS / 4:
            raise ValueError(f"rows of {len(wide)} whole numbers up to {largest} are too large for exact products")
        # Terms add up to at most `most` + inputs * largest * unit / 2 <= 2^51 + 2^50 units.
        unit = 2.0 ** (math.ceil(math.log2(most)) - 51) if most else 1.0
        self.matrix = (wide / unit).round_().mul_(unit)

    def __call__(self, rows: Tensor) -> Tensor:
        """(n, outputs) float64 of (n, inputs) whole numbers of any type."""
        return rows.to(torch.float64) @ self.matrix


def nearest(rows: Tensor, points: Tensor, reach: float) -> Tensor:
    """(n,) int64: the nearest of the public `points` (m, d) for every row (n, d); the first of equals.

    Both are cut to [-reach, reach] and rounded to a grid of at least 2^20 steps between 0 and `reach` (for widths up to
    2048) on which squared distances are exact.
    """
    # |x - s|^2 = |x|^2 + 2 (|s|^2 / 2 - x.s), and |x|^2 is the same for all points. With d steps^2 <= 2^51 no sum of
    # terms exceeds 1.5 * 2^51, which is less than 2^53 halves.
    steps = math.floor(math.sqrt(2.0**51 / max(1, rows.shape[1])))

    def on_grid(x: Tensor) -> Tensor:
        return (x.to("cpu", torch.float64) / reach).nan_to_num_(0.0, 1.0, -1.0).clamp_(-1, 1).mul_(steps).round_()

    whole = on_grid(points)
    scores = on_grid(rows) @ whole.T
    return (row_sums(whole * whole) / 2 - scores).argmin(1)
