"""What the strongest attacker sees: every noisy answer as it leaves the gate, and what the exact answers would be.

He knows both data sets, the program, its public seeds, and which record is in doubt. So he can compute the exact
answers that either data set would have given to the same queries, and compares how likely the noisy ones are under
each: the log likelihood ratio, summed over all releases, which no other statistic beats (Neyman and Pearson).

    Gaussian, discrete or not, scale s     <o - (q + q') / 2, q' - q> / s^2
    Laplace, scale b                       (|o - q|_1 - |o - q'|_1) / b
    exponential, score s_i of the chosen   log P'(i) - log P(i)

`Witness` records one run. `Twin` runs the program again on the other data set with the released answers frozen, as in
the replay audit, and keeps the exact answers: the other hypothesis, for programs whose queries follow from earlier
releases. Scales come from what the program says of itself, and only weigh the releases: a wrong one costs power, not
validity.

This file alone knows what a recorded release looks like.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax

from dpsynth.privacy.random import PrivacyStream
from dpsynth.privacy.replay import AuditError, Recorder, Release, Replayer

Reals = NDArray[np.float64]
CERTAIN = 1e6  # the log likelihood ratio of what one hypothesis cannot explain


class Enough(Exception):
    """Raised in a program that has made all releases the attacker waits for: what follows is post-processing."""


class Witness(Recorder):
    """A stream that keeps every query and answer, and may end the program after so many releases."""

    def __init__(self, key: bytes, *, infinite: bool = False, stop: int | None = None) -> None:
        super().__init__(infinite=infinite)
        PrivacyStream.__init__(self, key, secure=True, infinite=infinite)
        self.stop = stop

    def release(self, *arguments: Any, **options: Any) -> Any:
        """As `Recorder`, until it is enough."""
        answer = super().release(*arguments, **options)
        if self.stop is not None and len(self.releases) >= self.stop:
            raise Enough
        return answer


class Twin(Replayer):
    """The same program on the other data set, given the answers that a witness saw. Raises AuditError where the
    program asks something else than it was answered, and `Enough` after the last answer."""

    def __init__(self, witness: Witness, key: bytes) -> None:
        super().__init__(witness.releases, infinite=witness.infinite)
        PrivacyStream.__init__(self, key, secure=True, infinite=witness.infinite)

    def release(self, *arguments: Any, **options: Any) -> Any:
        """As `Replayer`, until the answers are used up."""
        answer = super().release(*arguments, **options)
        if len(self.releases) >= len(self.recorded):
            raise Enough
        return answer

    def _compare(self, before: Release, now: Release) -> None:
        """Only what makes the answers comparable: which release it is, and its shape."""
        if not comparable(before, now):
            raise AuditError(f"data-dependent control flow: {before.title} here, {now.title} there")


def comparable(one: Release, other: Release) -> bool:
    """Whether two releases are the same query, asked of two data sets."""
    if (one.name, one.step) != (other.name, other.step):
        return False
    if isinstance(one.query, Mapping) or isinstance(other.query, Mapping):
        return isinstance(one.query, Mapping) and isinstance(other.query, Mapping)
    return vector(one.query).shape == vector(other.query).shape


def log_likelihood_ratio(answer: Release, without: Any, with_record: Any) -> float:
    """log p(answer | exact answer with the record) - log p(answer | exact answer without it)."""
    kind, scale = str(answer.parameters.get("mechanism")), noise_scale(answer)
    if kind == "partition":
        return _of_partition(answer, without, with_record)
    zero, one = vector(without), vector(with_record)
    if kind == "exponential":
        chosen, slope = int(answer.output), 1.0 / scale
        return float(log_softmax(slope * one)[chosen] - log_softmax(slope * zero)[chosen])
    seen = vector(answer.output)
    if np.array_equal(zero, one):
        return 0.0
    if scale == 0.0:
        return CERTAIN * (float(np.array_equal(seen, one)) - float(np.array_equal(seen, zero)))
    if kind == "discrete_laplace":
        return float((np.abs(seen - zero).sum() - np.abs(seen - one).sum()) / scale)
    return float((seen - (zero + one) / 2) @ (one - zero) / scale**2)


def noise_scale(release: Release) -> float:
    """Standard deviation of Gaussian noise, scale of Laplace noise, 2 sensitivity / epsilon of a choice."""
    parameters = release.parameters
    if parameters.get("mechanism") == "exponential":
        epsilon = float(parameters["epsilon"])
        return 2.0 * release.sensitivity / epsilon if epsilon else np.inf
    return float(parameters.get("scale", parameters.get("sigma", 0.0)))


def vector(value: Any) -> Reals:
    """Any exact or noisy answer as one vector of float64."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", torch.float64).numpy().reshape(-1)
    if isinstance(value, list | tuple):
        parts = [vector(part) for part in cast(Sequence[Any], value)]
        return np.concatenate(parts) if parts else np.zeros(0)
    return np.asarray(value, dtype=np.float64).reshape(-1)


def _of_partition(answer: Release, without: Mapping[str, int], with_record: Mapping[str, int]) -> float:
    """Noisy counts of the values that passed the threshold. One that only one data set holds gives the answer away."""
    scale, total = noise_scale(answer), 0.0
    for value, noisy in cast(Mapping[str, int], answer.output).items():
        zero, one = without.get(value), with_record.get(value)
        if zero is None or one is None:
            total += CERTAIN * (float(zero is None) - float(one is None))
        elif scale > 0:
            total += (noisy - (zero + one) / 2) * (one - zero) / scale**2
    return total
