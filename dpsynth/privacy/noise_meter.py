"""Is the noise that is drawn the noise that is charged? Measured from the draws of a real run.

    meter = NoiseMeter(seed)
    recipe.fit(table, plan, RandomGenerators(seed, privacy=meter))
    meter.check(plan)                                   # AuditError where draws and charges part

A run goes through the gate as ever; what a release answers, less its exact query, is the noise that was drawn. The
check compares, for every charge of the plan, what its *event* says (the noise multiplier, times the sensitivity;
the number of releases; the sampling rate) with what was seen: the standard deviation of the noise, how often it was
released, the part of the rows in its batches. It also looks for noise that was used twice, and for correlation within
and between releases. Choices are measured by how often they fall on a candidate whose chance is known. Where a
release has few numbers, its noise is drawn again, from key streams of the meter's own, until there are some thousands;
the tolerance is six standard errors, about 8 % of a standard deviation.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from dp_accounting import DpEvent, GaussianDpEvent
from numpy.typing import NDArray

from dpsynth.privacy.accounting.adaptive_budget import AdaptiveBudget, gaussian_cost
from dpsynth.privacy.accounting.events import leaves
from dpsynth.privacy.accounting.privacy_loss import sampling
from dpsynth.privacy.ledger import Plan
from dpsynth.privacy.mechanism import Mechanism
from dpsynth.privacy.noise.exponential import ExponentialMechanism, gaussian_multiplier
from dpsynth.privacy.noise.gaussian import GaussianMechanism
from dpsynth.privacy.noise.integer_noise import CountMechanism
from dpsynth.privacy.noise.random import PrivacyGenerator
from dpsynth.privacy.replay import AuditError

_ERRORS = 6.0  # standard errors that a measured figure may be off
_CHOICES = 400  # draws by which a choice is measured
_NUMBERS = 3000  # of noise by which a mechanism is measured, at least

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """One release as it was drawn. noise: of every entry, None for choices."""

    mechanism: Mechanism
    step: int
    noise: Numbers | None


class NoiseMeter(PrivacyGenerator):
    """A seeded generator that measures what it draws; the answers are those of any run."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(bytes.fromhex(PrivacyGenerator.seeded(seed).state()["key"]), secure=False)
        self.measured: list[Measured] = []
        self.batches: dict[str, list[tuple[int, int]]] = {}  # name -> (rows in the batch, rows in all)

    def release(self, mechanism: Mechanism, query: Any, step: int) -> Any:
        """Release as ever, and keep the difference from the exact query."""
        exact = None
        if isinstance(mechanism, GaussianMechanism | CountMechanism) and not isinstance(query, dict):
            exact = _vector(query)  # before a draw that writes over it
        answer = super().release(mechanism, query, step)
        self.measured.append(Measured(mechanism, step, None if exact is None else _vector(answer) - exact))
        return answer

    def batch(self, mechanism: Mechanism, step: int, rows: int) -> NDArray[np.int64]:
        """Count the rows of the batch."""
        batch = super().batch(mechanism, step, rows)
        self.batches.setdefault(mechanism.name, []).append((len(batch), rows))
        return batch

    def check(self, plan: Plan) -> None:
        """Raise AuditError for the first charge of `plan` that is not what was drawn."""
        for charge in plan.charges:
            seen = [each for each in self.measured if each.mechanism.name == charge.name]
            if isinstance(charge, AdaptiveBudget):
                self._check_filter(charge, seen)
            else:
                self._check_count(charge, seen)
                self._check_rate(charge.name, charge.event)
                self._check_scale(charge.name, charge.event, seen)
        for mechanism in {each.mechanism for each in self.measured}:
            _check_measurable(mechanism)
            if isinstance(mechanism, ExponentialMechanism) and not mechanism.noiseless:
                self._check_choice(mechanism)
            elif not mechanism.noiseless:
                self._check_fresh(mechanism)
        self._check_independence()

    def _check_fresh(self, mechanism: Mechanism) -> None:
        """The noise of further draws of a mechanism, whatever was seen of it in the run."""
        seen = next(each for each in self.measured if each.mechanism == mechanism)
        (leaf, _), *_ = leaves(mechanism.release_event)
        sampled = sampling(leaf)
        multiplier = sampled[1] if sampled else getattr(leaf, "noise_multiplier", None)
        if seen.noise is None or not seen.noise.size or multiplier is None:
            return
        zeros = np.zeros(seen.noise.size, dtype=np.int64 if isinstance(mechanism, CountMechanism) else np.float64)
        turns = range(math.ceil(_NUMBERS / zeros.size))
        draws = [mechanism.draw(zeros.copy(), self.keystream(mechanism.name, k, "meter")) for k in turns]
        _check_deviation(seen, multiplier, [_flat(each) for each in draws])
        _check_white(mechanism, _flat(mechanism.draw(np.zeros(_NUMBERS, zeros.dtype), self.keystream("meter"))))

    def _check_count(self, charge: Mechanism, seen: Sequence[Measured]) -> None:
        planned = sum(count for _, count in leaves(charge.event))
        if len(seen) != planned:
            raise AuditError(f"{charge.name!r}: {len(seen)} releases were drawn, {planned} are charged")

    def _check_rate(self, name: str, event: DpEvent) -> None:
        leaf = next(leaves(event), (event, 1))[0]
        sampled, batches = sampling(leaf), self.batches.get(name, [])
        if sampled is None:
            if any(size < rows for size, rows in batches):
                raise AuditError(f"{name!r}: rows were sampled, but no sampling is charged")
            return
        sizes, rows = np.array(batches, dtype=np.float64).T if batches else (np.zeros(1), np.zeros(1))
        rate, total = sampled[0], rows.sum()
        error = math.sqrt(max(rate * (1 - rate), 1e-12) / max(total, 1))
        if total and abs(sizes.sum() / total - rate) > _ERRORS * error:
            raise AuditError(f"{name!r}: batches held {sizes.sum() / total:.4g} of the rows, {rate:.4g} is charged")

    def _check_scale(self, name: str, event: DpEvent, seen: Sequence[Measured]) -> None:
        """The noise of all releases of one charge, whose event names one multiplier."""
        leaf = next(leaves(event), (event, 1))[0]
        sampled = sampling(leaf)
        multiplier = sampled[1] if sampled else getattr(leaf, "noise_multiplier", None)
        if multiplier is None:
            return
        for each in seen:
            _check_deviation(each, multiplier, [each.noise] if each.noise is not None else [])
        pooled = [each.noise for each in seen if each.noise is not None]
        if seen and pooled:
            _check_deviation(seen[0], multiplier, pooled)

    def _check_filter(self, charge: AdaptiveBudget, seen: Sequence[Measured]) -> None:
        """Releases under an adaptive budget: each at its own scale, all within the total."""
        if not charge.private:
            return
        total = math.fsum(gaussian_cost(each.mechanism.event) for each in seen)
        if total > charge.total * (1 + 1e-9):
            raise AuditError(f"{charge.name!r}: {total:.6g} of mu^2 was drawn, {charge.total:.6g} is charged")
        for each in seen:
            (leaf, _), *_ = leaves(each.mechanism.event)
            if each.noise is not None and isinstance(leaf, GaussianDpEvent):
                _check_deviation(each, leaf.noise_multiplier, [each.noise])

    def _check_choice(self, mechanism: ExponentialMechanism) -> None:
        """A candidate whose score leads by what makes it thrice as likely is chosen thrice as often."""
        lead = 2 * mechanism.sensitivity * math.log(3) / mechanism.epsilon
        scores = np.array([0.0, lead])
        once = replace(mechanism, releases=1)
        draws = [once.draw(scores, self.keystream(mechanism.name, k, "meter")) for k in range(_CHOICES)]
        (leaf, _), *_ = leaves(once.event)
        expected, found = 0.75, float(np.mean(draws))
        error = math.sqrt(expected * (1 - expected) / _CHOICES)
        if abs(found - expected) > _ERRORS * error or not isinstance(leaf, GaussianDpEvent):
            raise AuditError(f"{mechanism.name!r}: a choice of chance {expected} was made {found:.3g} of the time")
        # The charge must be that of the epsilon that was just seen.
        if not math.isclose(leaf.noise_multiplier, gaussian_multiplier(mechanism.epsilon), rel_tol=1e-9):
            raise AuditError(f"{mechanism.name!r}: a choice is charged as another epsilon than it is drawn with")

    def _check_independence(self) -> None:
        """No two releases share noise, or correlate beyond chance."""
        noises = [(each, each.noise) for each in self.measured if each.noise is not None and each.noise.any()]
        for (one, first), (other, second) in itertools.pairwise(noises):
            size = min(len(first), len(second))
            if size < 8:
                continue
            a, b = first[:size] - first[:size].mean(), second[:size] - second[:size].mean()
            correlation = float(a @ b / max(math.sqrt(float((a @ a) * (b @ b))), 1e-300))
            if abs(correlation) > _ERRORS / math.sqrt(size):
                raise AuditError(
                    f"noise of {one.mechanism.name!r} step {one.step} comes back in {other.mechanism.name!r} step "
                    f"{other.step}: correlation {correlation:.3g}"
                )
        known: dict[bytes, Measured] = {}
        for each, noise in noises:
            scaled = (noise / np.abs(noise).max()).round(6).tobytes()
            if len(noise) >= 8 and scaled in known:
                first_use = known[scaled]
                raise AuditError(
                    f"the noise of {first_use.mechanism.name!r} step {first_use.step} was used again in "
                    f"{each.mechanism.name!r} step {each.step}"
                )
            known[scaled] = each


def _check_measurable(mechanism: Mechanism) -> None:
    """AuditError for a mechanism of somebody's own: nothing here knows whether its draws are what it charges."""
    inside = type(mechanism).draw.__module__.startswith(f"{__package__}.")
    if not inside and not isinstance(mechanism, GaussianMechanism | CountMechanism):
        raise AuditError(
            f"{mechanism.name!r}: the draws of {type(mechanism).__name__} cannot be measured; release through a "
            "mechanism of dpsynth.privacy, such as GaussianQuery"
        )


def _check_deviation(each: Measured, multiplier: float, noises: Sequence[Numbers]) -> None:
    """The root mean square of noise against multiplier x sensitivity; rounding to whole numbers adds 1/12."""
    mechanism = each.mechanism
    numbers = np.concatenate([np.zeros(0), *noises])
    if not numbers.size:
        return
    expected = multiplier * mechanism.sensitivity if multiplier else 0.0
    slack = 0.3 if isinstance(mechanism, CountMechanism) else 0.0
    found = float(np.sqrt(np.mean(np.square(numbers))))
    low = expected * (1 - min(1.0, _ERRORS / math.sqrt(2 * numbers.size)))
    high = math.hypot(expected, slack) * (1 + _ERRORS / math.sqrt(2 * numbers.size))
    if not low * (1 - 1e-3) <= found <= high * (1 + 1e-3):
        raise AuditError(
            f"{mechanism.name!r} step {each.step}: noise of standard deviation {found:.4g} was drawn, "
            f"{expected:.4g} is charged ({numbers.size} numbers)"
        )


def _check_white(mechanism: Mechanism, noise: Numbers) -> None:
    """No part of the noise of one release comes back at another place of it: correlations at all distances."""
    if np.count_nonzero(noise) < len(noise) / 4:  # a few ones among zeros, whose products are no normal numbers
        return
    waves = np.fft.rfft(noise - noise.mean(), 2 * len(noise))
    products = np.fft.irfft(np.abs(waves) ** 2)[: len(noise)]
    worst = 1 + int(np.argmax(np.abs(products[1:])))
    if abs(products[worst]) > (_ERRORS + 1) / math.sqrt(len(noise)) * products[0]:
        raise AuditError(
            f"{mechanism.name!r}: the noise of an entry comes back {worst} entries further on, with correlation "
            f"{products[worst] / products[0]:.3g}"
        )


def _vector(value: Any) -> Numbers:
    """A copy of an array, a tensor or a list of tensors, as one vector."""
    pieces = cast(list[Any], value) if isinstance(value, list) else [value]
    return np.concatenate([np.zeros(0), *map(_flat, pieces)])


def _flat(value: Any) -> Numbers:
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", torch.float64).numpy().reshape(-1)
    return np.asarray(value, dtype=np.float64).reshape(-1)
