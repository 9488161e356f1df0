"""The variational distribution of all unknowns, its natural-gradient steps, and the path of its parameters.

The distribution is one of independent normals: q(phi) = N(m, diag(s^2)) maximises  E_q[log p(data | phi) + log p(phi)]
+ entropy(q).  With phi = m + s e, e standard normal, and h an unbiased noisy gradient of the log joint at phi,

    d/dm = h            d/dlog s = h s e + 1

Both follow from the one vector h, so the data are asked once for dim(phi) numbers, not for 2 dim(phi): the aligned
gradients of Jaelkoe, Prediger, Honkela and Kaski 2022 (arXiv:2210.15961, section 3.1). e is public, one draw for a
step, shared by the batch; the second term of d/dlog s is the entropy's, which knows no data.

The path of the parameters is kept as averages over blocks of steps, and as the average over the last ones. It is made
of released gradients alone, so it may be shown, averaged and modelled at no cost (arXiv:2210.15961, sections 3.2 and
4).  The mean over the last part of the steps is steadier than the last iterate; how far the block means scatter around
it tells how well it is known.

Natural-gradient steps of the guide that know how noisy the gradient is: post-processing, free.

Variational online Newton (Khan et al. 2018, arXiv:1806.04854) moves the mean of a normal guide by the gradient over its
precision, and takes the precision from curvature. Here curvature is n F(phi), F the Fisher information of a row of
known component: a function of phi alone, without data and without noise. It makes a step on a mixture one damped step
of expectation-maximisation.

The gradient comes with noise of standard deviation sigma for a step, tau^2 = rate * sigma^2 for the average over the
1 / rate steps a learning rate remembers. What such a gradient says about a coordinate of information I = n F has
precision

    1 / (1 / I + tau^2 / I^2) = w I,      w = I / (I + tau^2)

so gradients are weighed by w against the prior: coordinates that the noise drowns stay at their prior, all others move
at full speed. With h = w G + grad log prior and L = w I + 1 / spread^2, a step is rate * h / L, and the guide's scale
is 1 / sqrt(L) at the rate of the end, the spread that sampling and privacy noise leave together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


class MeanField(nn.Module):
    """A normal distribution with independent coordinates; parameters `mean` and `log_scale`, each (size,)."""

    def __init__(self, mean: Tensor, scale: float | Tensor) -> None:
        super().__init__()
        self.mean = nn.Parameter(mean.detach().clone())
        self.log_scale = nn.Parameter(torch.as_tensor(scale, dtype=mean.dtype).expand(mean.shape).log().clone())

    @torch.no_grad()
    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(phi, e), each (size,): one draw of the unknowns and the standard normals it was made from."""
        noise = torch.randn(self.mean.shape, generator=generator, dtype=self.mean.dtype).to(self.mean.device)
        return self.mean + self.log_scale.exp() * noise, noise

    @torch.no_grad()
    def align(self, h: Tensor, noise: Tensor) -> None:
        """Write the gradients of minus the bound into `.grad`. h: of the log joint at the drawn phi; noise: its e."""
        self.mean.grad = -h
        self.log_scale.grad = -(h * noise * self.log_scale.exp() + 1)


# -------------------- Trace -----------------------------------------------------------------


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


# -------------------- Natural steps ---------------------------------------------------------

LONGEST = 1.0  # most that a coordinate moves at rate 1


@dataclass(frozen=True)
class NaturalSteps:
    """start, spread: (size,) prior. information: phi -> (size,) of all rows together. noise: sigma, of one coordinate
    of the gradient for all rows. last_rate: the learning rate at the end."""

    guide: MeanField
    start: Tensor
    spread: Tensor
    information: Callable[[Tensor], Tensor]
    noise: float
    last_rate: float

    @torch.no_grad()
    def step(self, phi: Tensor, gradient: Tensor, rate: float) -> Tensor:
        """Leave minus the direction in the mean's `.grad` (for SGD at `rate`) and set the scale. Returns the direction.

        gradient: the noisy gradient of the log likelihood of all rows at phi.
        """
        information = self.information(phi)
        weight, precision = self._weighed(information, rate)
        h = weight * gradient - (phi - self.start) / self.spread.square()
        direction = (h / precision).clamp(-LONGEST, LONGEST)
        self.guide.mean.grad = -direction
        _, final = self._weighed(information, self.last_rate)
        self.guide.log_scale.copy_(-0.5 * final.log())
        return direction

    def _weighed(self, information: Tensor, rate: float) -> tuple[Tensor, Tensor]:
        """The weight of the gradient and the precision, both (size,)."""
        weight = information / (information + rate * self.noise**2).clamp(min=1e-12)
        return weight, weight * information + self.spread.pow(-2)
