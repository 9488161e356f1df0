"""Which rows enter which step. The object that draws the batches also states the event, so the two cannot
disagree.

*Poisson* (`PoissonBatches`): every row enters every step independently with probability q, public and fixed:
the sampler of the Poisson-sampled Gaussian under add_remove (Mironov, Talwar, Zhang 2019, arXiv 1908.10530).
The accountant refuses it under replace_one. The batch may be empty: that step is noise only, and must be
made. Nothing may be divided by the realised batch size; `expected(rows)` of a PUBLIC number of rows is the
divisor.

*Fixed size* (`FixedSizeBatches`): a uniformly random subset of fixed size, drawn anew in every step. The
number of rows is public, so it belongs to replace_one only; the accountant refuses it under add_remove.

Row i's inclusion in a step is decided by word i of that step's key stream. A row added at the end therefore
changes no other row's inclusion, which the replay audit relies on.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from dp_accounting import (
    DpEvent,
    GaussianDpEvent,
    PoissonSampledDpEvent,
    SampledWithoutReplacementDpEvent,
    SelfComposedDpEvent,
)
from numpy.typing import NDArray
from scipy.stats import binom

from dpsynth.errors import BudgetError
from dpsynth.privacy.noise.keystream import Keystream

_ONE = 1 << 32
_BLOCK = 1 << 24  # words drawn at a time, so that large tables need no large buffer
_OVERFLOW = 1e-12

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class PoissonBatches:
    """`steps` batches in which every row stands with probability `rate`, rounded to a multiple of 2^-32.

    >>> PoissonBatches(0.25, 3).event(2.0).count
    3
    """

    rate: float
    steps: int

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise BudgetError(f"the sampling rate must lie in (0, 1], not {self.rate!r}")
        _check_steps(self.steps)
        object.__setattr__(self, "rate", max(1, round(self.rate * _ONE)) / _ONE)

    @property
    def threshold(self) -> int:
        """A row is in when its 32-bit word lies below this; rate = threshold / 2^32 exactly."""
        return int(self.rate * _ONE)

    def expected(self, rows: float) -> float:
        """The expected batch size of a table with a PUBLIC number of rows: the divisor of gradient sums."""
        return self.rate * rows

    def step_event(self, noise_multiplier: float) -> DpEvent:
        """One step, with Gaussian noise in units of the sensitivity under the budget's relation."""
        return PoissonSampledDpEvent(self.rate, GaussianDpEvent(noise_multiplier))

    def event(self, noise_multiplier: float) -> DpEvent:
        """All steps."""
        return SelfComposedDpEvent(self.step_event(noise_multiplier), self.steps)

    def indices(self, keystream: Keystream, rows: int) -> Indices:
        """Ascending row numbers of one batch of a table with `rows` rows (private, used for nothing else)."""
        found: list[Indices] = []
        for start in range(0, rows, _BLOCK):
            words = keystream.words32(min(_BLOCK, rows - start))
            inside = np.ones(words.size, dtype=bool) if self.rate == 1 else words < np.uint32(self.threshold)
            found.append(np.flatnonzero(inside).astype(np.int64) + start)
        return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)

    def capacity(self, rows: int) -> int:
        """The smallest M with P(Binomial(rows, rate) > M) < 1e-12, at least 1; `rows` is a public upper
        bound."""
        return max(1, min(rows, int(binom.isf(_OVERFLOW, rows, self.rate)) + 1))

    def overflow_delta(self, rows: int, capacity: int, epsilon: float) -> float:
        """The delta that truncating batches to `capacity` costs on top: (1 + exp(epsilon)) T P(Binomial(rows,
        rate) > M).

        Couple the truncated run with the untruncated one: they differ only if some batch overflows, so their
        outputs are within TV distance t = T P(B > M). Then P[M'(D) in S] <= P[M(D) in S] + t <= exp(e)
        P[M(D') in S] + d + t <= exp(e) P[M'(D') in S] + d + t + exp(e) t. Holds for tables of at most `rows`
        rows.
        """
        chance = float(binom.sf(capacity, rows, self.rate)) if capacity < rows else 0.0
        if chance == 0.0:
            return 0.0
        return self.steps * chance * (1.0 + math.exp(min(epsilon, 700.0)))

    def padded(self, keystream: Keystream, rows: int, capacity: int) -> tuple[Indices, NDArray[np.bool_]]:
        """(indices (capacity,), mask (capacity,)) of fixed shape: masked-out entries are row 0 and count for
        nothing.

        An overfull batch keeps a uniformly random subset; account for it with `overflow_delta`. Scale by the
        expected batch size, never by `capacity` or the number of true mask entries. For an empty table every
        entry is masked out.
        """
        batch = self.indices(keystream, rows)
        if batch.size > capacity:
            batch = np.sort(_subset(keystream, batch, capacity))
        indices = np.zeros(capacity, dtype=np.int64)
        indices[: batch.size] = batch
        return indices, np.arange(capacity) < batch.size


@dataclass(frozen=True)
class FixedSizeBatches:
    """`steps` uniformly random batches of exactly `batch_size` of `rows` rows (public: replace_one only)."""

    rows: int
    batch_size: int
    steps: int

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= self.rows:
            raise BudgetError(f"a batch of {self.batch_size} cannot be drawn from {self.rows} rows")
        _check_steps(self.steps)

    @property
    def rate(self) -> float:
        """The fraction of the rows that a batch holds."""
        return self.batch_size / self.rows

    def expected(self, rows: float) -> float:
        """The batch size, which is certain here; `rows` is ignored."""
        return float(self.batch_size)

    def step_event(self, noise_multiplier: float) -> DpEvent:
        """One step, with Gaussian noise in units of the sensitivity of a replaced row (2 C for a clipped
        sum)."""
        return SampledWithoutReplacementDpEvent(self.rows, self.batch_size, GaussianDpEvent(noise_multiplier))

    def event(self, noise_multiplier: float) -> DpEvent:
        """All steps."""
        return SelfComposedDpEvent(self.step_event(noise_multiplier), self.steps)

    def indices(self, keystream: Keystream, rows: int) -> Indices:
        """Ascending row numbers of one batch; `rows` must be the declared number."""
        if rows != self.rows:
            raise BudgetError(f"fixed-size batches were planned for {self.rows} rows, but the table has {rows}")
        return np.sort(_subset(keystream, np.arange(rows, dtype=np.int64), self.batch_size))


def _subset(keystream: Keystream, items: Indices, size: int) -> Indices:
    """A uniformly random subset: the items with the smallest of independent 64-bit tags, redrawn if two tags
    tie."""
    while True:
        tags = keystream.words64(items.size)
        order = np.argsort(tags, kind="stable")
        if not np.any(np.diff(tags[order]) == 0):
            return items[order[:size]]


def _check_steps(steps: int) -> None:
    if isinstance(steps, bool) or int(steps) != steps or steps < 1:
        raise BudgetError(f"the number of steps must be a whole number of at least 1, not {steps!r}")
