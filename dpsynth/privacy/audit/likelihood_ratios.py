"""How much more likely a noisy answer is with the record than without it, given both exact answers.

The sum of these log likelihood ratios over all releases is the attacker's score; no other statistic beats it (Neyman
and Pearson). With o the answer, q and q' the exact ones without and with the record:

    Gaussian, standard deviation s       <o - (q + q') / 2, q' - q> / s^2
    rounded Gaussian                     sum of log P[X = o - q'] - log P[X = o - q]
    selected values                      the same over the values that were released; a value that only one side holds
                                         is certain proof
    exponential mechanism                log P'(o) - log P(o)

Scales come from what a mechanism says of itself, and only weigh the releases: a wrong one costs the attacker power, and
the bounds on his errors hold all the same.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from dp_accounting import GaussianDpEvent
from numpy.typing import NDArray
from scipy.special import log_ndtr, log_softmax

from dpsynth.privacy.accounting.events import leaves
from dpsynth.privacy.mechanism import Mechanism
from dpsynth.privacy.mechanisms.discovery import PrivateCategories
from dpsynth.privacy.noise.exponential import ExponentialMechanism
from dpsynth.privacy.noise.gaussian import GaussianMechanism
from dpsynth.privacy.noise.integer_noise import CountMechanism
from dpsynth.privacy.noise.random import PrivacyGenerator
from dpsynth.privacy.replay import RecordedRelease

Reals = NDArray[np.float64]
CERTAIN = 1e6  # the log likelihood ratio of what one hypothesis cannot explain


def log_likelihood_ratio(answer: RecordedRelease, without: Any, with_record: Any) -> float:
    """log p(answer | exact answer with the record) - log p(answer | exact answer without it)."""
    mechanism = answer.mechanism
    if isinstance(mechanism, PrivateCategories):
        return _of_values(mechanism, answer.output, without, with_record)
    zero, one = vector(without), vector(with_record)
    if np.array_equal(zero, one):
        return 0.0
    if isinstance(mechanism, ExponentialMechanism) and mechanism.noiseless:
        return CERTAIN * (_follows(mechanism, answer.output, one) - _follows(mechanism, answer.output, zero))
    if isinstance(mechanism, ExponentialMechanism):
        chosen, slope = int(answer.output), mechanism.epsilon / (2 * mechanism.sensitivity)
        return float(log_softmax(slope * one)[chosen] - log_softmax(slope * zero)[chosen])
    seen, moved = vector(answer.output), zero != one
    return _of_numbers(mechanism, seen[moved], zero[moved], one[moved])


def vector(value: Any) -> Reals:
    """Any exact or noisy answer as one vector of float64."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", torch.float64).numpy().reshape(-1)
    if isinstance(value, list | tuple):
        parts = [vector(part) for part in cast(Sequence[Any], value)]
        return np.concatenate(parts) if parts else np.zeros(0)
    return np.asarray(value, dtype=np.float64).reshape(-1)


def _follows(mechanism: ExponentialMechanism, seen: Any, exact: Reals) -> bool:
    """Whether a mechanism without noise answers so."""
    unused = PrivacyGenerator(bytes(32), secure=False).keystream("unused")
    return np.array_equal(vector(mechanism.draw(exact, unused)), vector(seen))


def _of_numbers(mechanism: Mechanism, seen: Reals, zero: Reals, one: Reals) -> float:
    scale = _deviation(mechanism)
    if scale == 0.0:
        return CERTAIN * (float(np.array_equal(seen, one)) - float(np.array_equal(seen, zero)))
    if isinstance(mechanism, CountMechanism):
        return float((_log_masses(seen - one, scale) - _log_masses(seen - zero, scale)).sum())
    return float((seen - (zero + one) / 2) @ (one - zero) / scale**2)


def _deviation(mechanism: Mechanism) -> float:
    """Of the noise on one number; of a mechanism of another kind, that of the Gaussian release it is charged as."""
    if isinstance(mechanism, GaussianMechanism):
        return mechanism.deviation
    if isinstance(mechanism, CountMechanism):
        return mechanism.sigma
    multipliers = [leaf.noise_multiplier for leaf, _ in leaves(mechanism.event) if isinstance(leaf, GaussianDpEvent)]
    return mechanism.sensitivity * max(multipliers, default=1.0)


def _log_masses(distance: Reals, sigma: float) -> Reals:
    """log P[X = k] of the rounded Gaussian, at whole numbers k."""
    near, far = (np.abs(distance) - 0.5) / sigma, (np.abs(distance) + 0.5) / sigma
    tail = log_ndtr(-near)
    return tail + np.log(-np.expm1(log_ndtr(-far) - tail))


def _of_values(
    mechanism: PrivateCategories, seen: Mapping[str, int], without: Mapping[str, int], with_record: Mapping[str, int]
) -> float:
    total = 0.0
    for value, noisy in seen.items():
        zero, one = without.get(value), with_record.get(value)
        if zero is None or one is None:
            total += CERTAIN * (float(zero is None) - float(one is None))
        elif zero != one:
            total += _of_numbers(mechanism, vector([noisy]), vector([zero]), vector([one]))
    return total
