"""Fitting a class-conditional generator to a noisy mean embedding: post-processing, free of charge.

    loss = sum over classes c of  w_c |T_c - E phi(G(z, c))|^2

the squared maximum mean discrepancy (Gretton et al. 2012, JMLR 13) between the released means T and the generator, up
to a constant. With B samples a class, the square of their mean feature m is too large by the variance of m, and a
generator that minimised it would shrink its own variety; so |E phi|^2 is estimated from pairs of different samples,
(B^2 |m|^2 - sum |phi|^2) / (B (B - 1)), which is unbiased.

w_c grows with the noisy number of rows of the class, because the noise of T_c falls with it.
"""

from __future__ import annotations

import torch
from torch import nn

from dpsynth.networks.affine_generator import AffineGenerator
from dpsynth.privacy.mean_embedding import Embedding
from dpsynth.training import Public

FEWEST = 4  # samples of a class in a step


class EmbeddingFit:
    """The steps of such a fit, for `dpsynth.training.train`.

    features: a map with `moments`. batch: samples of a step, shared evenly by the classes, at least FEWEST each.
    generator: source of the noise z; it belongs to the state of training.
    """

    def __init__(
        self,
        network: AffineGenerator,
        features: nn.Module,
        target: Embedding,
        batch: int,
        generator: torch.Generator,
    ) -> None:
        self.network, self.features, self.generator = network, features, generator
        self.each = max(FEWEST, -(-batch // network.classes))
        self.labels = torch.arange(network.classes, device=network.device).repeat_interleave(self.each)
        self.means = target.means.float().to(network.device)
        divisors = target.divisors
        self.weights = (divisors / divisors.mean()).float().to(network.device)
        # Of the loss, what the noise alone contributes where the fit is perfect; only to be shown.
        floor = (divisors.reciprocal() * target.deviation).square() * self.means.shape[1]
        self.floor = float((floor * self.weights.cpu()).mean())

    def step(self, t: int) -> dict[str, Public]:
        """Leave the gradient of the loss in `.grad`. Loss and noise are means over the classes."""
        shape = len(self.labels), self.network.shape.latent
        noise = torch.randn(shape, generator=self.generator).to(self.network.device)
        outputs = self.network(noise, self.labels)
        mean, own = self.features.moments(outputs, self.network.classes)  # type: ignore[operator]
        spread = (self.each * mean.square().sum(dim=1) - own) / (self.each - 1)
        discrepancy = spread - 2 * (mean * self.means).sum(dim=1) + self.means.square().sum(dim=1)
        loss = (self.weights * discrepancy).mean()
        self.network.zero_grad(set_to_none=True)
        (loss * self.network.classes).backward()
        return {"loss": Public(loss.detach()), "noise": Public(self.floor)}
