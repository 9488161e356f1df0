"""Natural-gradient steps of the guide that know how noisy the gradient is: post-processing, free.

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

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dpsynth.vi.guide import MeanField

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
