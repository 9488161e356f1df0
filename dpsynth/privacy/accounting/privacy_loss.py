"""Privacy loss distributions of the events that the ledger knows, on one grid, each an upper bound.

Gaussian, discrete Laplace and Poisson-sampled Gaussian under add/remove come from dp_accounting
(Connect the Dots, Doroshenko et al. 2022, arXiv 2207.04380). Sampling under replace_one is not covered there
by a proof, so it stands here.

Sampled Gaussian under replace_one. Let the unsampled Gaussian have sensitivity 1 (in units of the
replaced-row distance) and noise z, G(a) = sup over neighbours of its hockey-stick divergence H_a, which is
that of N(1, z^2) against N(0, z^2).

D and D' (rate q = m / n) differ in row x -> x'. M(D) = (1-q) R + q P, M(D') = (1-q) R + q P', where R
averages over samples without the row. Advanced joint convexity (Balle, Barthe, Gaboardi 2018, arXiv
1807.01647, Theorem 2) with a' = 1 + q (a - 1), b = a' / a gives H_a'(M(D) || M(D')) = q H_a(P || (1-b) R + b
P') <= q ((1-b) H_a(P || R) + b H_a(P || P')). Samples of P and R, and of P and P', are coupled so as to
differ in one row, so both terms are <= G(a). Hence H_a' <= q G(1 + (a' - 1) / q) for a' >= 1 (their Theorem
11).

For a' < 1 the bound follows from H_a(A || B) = 1 - a + a H_{1/a}(B || A) and the symmetry of the relation.
One profile for all a at once, and not one per direction, is what makes the composition sound (Zhu, Dong, Wang
2022, arXiv 2106.08567, Theorems 10 and 11; Lebeda, Regehr, Kamath 2024, arXiv 2405.20769, on the pitfall).
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math

import numpy as np
from dp_accounting import DpEvent, GaussianDpEvent, PoissonSampledDpEvent, SampledWithoutReplacementDpEvent
from dp_accounting.dp_event import DiscreteLaplaceDpEvent
from dp_accounting.pld import pld_pmf
from dp_accounting.pld import privacy_loss_distribution as pld
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr

from dpsynth.privacy.accounting.budget import Neighbours

LossDistribution = pld.PrivacyLossDistribution


def sampling(event: DpEvent) -> tuple[float, float] | None:
    """(rate, noise multiplier) of a sampled Gaussian, or None for any other event."""
    if isinstance(event, PoissonSampledDpEvent) and isinstance(event.event, GaussianDpEvent):
        return event.sampling_probability, event.event.noise_multiplier
    if isinstance(event, SampledWithoutReplacementDpEvent) and isinstance(event.event, GaussianDpEvent):
        return event.sample_size / event.source_dataset_size, event.event.noise_multiplier
    return None


def loss_scale(event: DpEvent) -> tuple[float, float] | None:
    """(typical, largest) size of the privacy loss of one application; None when there is no distribution
    here."""
    sampled = sampling(event)
    if sampled is not None:
        rate, noise = sampled
        if noise <= 0:
            return None
        return rate * math.sqrt(math.expm1(min(noise**-2, 60.0))), 11 / noise + 0.5 / noise**2
    if isinstance(event, GaussianDpEvent):
        noise = event.noise_multiplier
        return (1 / noise, 11 / noise + 0.5 / noise**2) if noise > 0 else None
    if isinstance(event, DiscreteLaplaceDpEvent):
        loss = event.noise_parameter * event.sensitivity
        return (loss, loss) if loss > 0 else None
    return None


def loss_distribution(event: DpEvent, neighbours: Neighbours, interval: float) -> LossDistribution | None:
    """The pessimistic privacy loss distribution of one application on a grid of `interval` nats; None if
    unknown."""
    if isinstance(event, GaussianDpEvent):
        return pld.from_gaussian_mechanism(event.noise_multiplier, value_discretization_interval=interval)
    if isinstance(event, DiscreteLaplaceDpEvent):
        return pld.from_discrete_laplace_mechanism(
            event.noise_parameter, event.sensitivity, value_discretization_interval=interval
        )
    sampled = sampling(event)
    if sampled is None:
        return None
    rate, noise = sampled
    if isinstance(event, SampledWithoutReplacementDpEvent):
        return replaced_row(rate, noise, interval) if neighbours == "replace_one" else None
    if neighbours == "replace_one":
        return None
    return pld.from_gaussian_mechanism(noise, sampling_prob=rate, value_discretization_interval=interval)


def replaced_row(rate: float, noise: float, interval: float) -> LossDistribution:
    """The sampled Gaussian under replace_one, `noise` in units of the distance between replaced rows (2
    C)."""
    largest = 10.0 / noise + 0.5 / noise**2  # beyond it G is below 1e-22
    top = largest + math.log(rate) if largest > 500 else math.log1p(rate * math.expm1(largest))
    steps = max(1, math.ceil(top / interval))
    epsilons = np.arange(1, steps + 1) * interval
    upper = rate * gaussian_profile(noise, np.log1p(np.expm1(np.minimum(epsilons, 700.0)) / rate))
    zero = rate * gaussian_profile(noise, np.zeros(1))
    lower = -np.expm1(-epsilons) + np.exp(-epsilons) * upper
    deltas = np.clip(np.concatenate([lower[::-1], zero, upper]), 0.0, 1.0)
    deltas = np.minimum.accumulate(deltas)
    return LossDistribution(pld_pmf.create_pmf_pessimistic_connect_dots_fixed_gap(interval, -steps, steps, deltas))


def gaussian_profile(noise: float, epsilons: NDArray[np.float64]) -> NDArray[np.float64]:
    """delta(epsilon) of the Gaussian mechanism (Balle and Wang 2018, arXiv 1805.06530, Theorem 8),
    elementwise."""
    half, shift = 0.5 / noise, epsilons * noise
    return np.maximum(ndtr(half - shift) - np.exp(epsilons + log_ndtr(-half - shift)), 0.0)
