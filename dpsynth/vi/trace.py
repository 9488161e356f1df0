"""The path of the variational parameters: averages over blocks of steps, and the average over the last ones.

The path is made of released gradients alone, so it may be shown, averaged and modelled at no cost (arXiv:2210.15961,
sections 3.2 and 4).  The mean over the last part of the steps is steadier than the last iterate; how far the block
means scatter around it tells how well it is known.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dpsynth.vi.guide import MeanField


class Trace:
    """Block means of (mean, log scale) of a guide along `steps` steps, as `train` wants an average: `update` after
    each.

    blocks: how many means are kept, at most one for each step. tail: the last part of the blocks, which is averaged.
    """

    def __init__(self, guide: MeanField, steps: int, tail: float, blocks: int = 100) -> None:
        self.guide, self.steps, self.blocks = guide, steps, min(blocks, steps)
        self.last = max(1, math.ceil(tail * self.blocks))
        self.sums = torch.zeros(self.blocks, 2, guide.mean.numel(), dtype=torch.float64)
        self.counts = torch.zeros(self.blocks, dtype=torch.float64)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the guide after optimizer step `step`, counted from 0."""
        block = step * self.blocks // self.steps
        self.sums[block, 0] += self.guide.mean.to("cpu", torch.float64)
        self.sums[block, 1] += self.guide.log_scale.to("cpu", torch.float64)
        self.counts[block] += 1

    @property
    def means(self) -> Tensor:
        """(blocks, 2, size): block means of mean and log scale."""
        return self.sums / self.counts.clamp(min=1)[:, None, None]

    def state_dict(self) -> dict[str, Tensor]:
        return {"sums": self.sums, "counts": self.counts}

    def load_state_dict(self, state_dict: dict[str, Tensor]) -> None:
        self.sums.copy_(state_dict["sums"])
        self.counts.copy_(state_dict["counts"])
