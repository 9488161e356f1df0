"""Small images made large again so that their averages stay what they were.

Smooth interpolation alone blurs: averaged down again, its result is not the small image it came from. Iterative
back-projection (Irani and Peleg 1991) adds the difference back until it is, which keeps edges sharp. Public: nothing
here is learned.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

ROUNDS = 3  # of back-projection


def upsampled(units: Tensor, height: int, width: int, rounds: int = ROUNDS) -> Tensor:
    """(n, channels, h, w) in [0, 1] -> (n, channels, height, width) in [0, 1]; images of that size stay as they are."""
    if units.shape[2:] == (height, width):
        return units
    large = F.interpolate(units, (height, width), mode="bicubic", align_corners=False).clamp_(0, 1)
    for _ in range(rounds):
        missing = units - F.adaptive_avg_pool2d(large, (units.shape[2], units.shape[3]))
        large = (large + F.interpolate(missing, (height, width), mode="nearest")).clamp_(0, 1)
    return large
