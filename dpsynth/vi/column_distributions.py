"""Distributions of one column's values and codes within a component, as tables over public value bins.

Rows are seen through their codes alone, so all that a distribution has to tell is a table of log probabilities over the
bins, and the scores d log p(bin) / d parameters. What a row adds to a gradient is a line of that table of scores; sums
over rows become sums over bins. Every function takes parameters (..., size), one set for each component or draw.

Free            any probabilities, as logits against a base distribution: Categorical, Bernoulli
TruncatedNormal normal density at the bins' middles, made to sum to one within the bounds
Normal          normal probability of each bin; what lies beyond the bounds goes to the outermost bins, as rows do
Poisson         the probability of each bin's counts; what lies above the bounds goes to the last bin
Tilted          a base distribution (a noisy one-way marginal) times exp(a t + b (t^2 - 1) / sqrt 2), t the standardised
position

Positions run from -1 to 1 over the column's axis. Normal, TruncatedNormal and Poisson keep a part `LEAST_COUNT` of
their mass even, so that no bin is impossible.

The distribution of one column's codes inside a component: which kind of value, and then which.

    p(code) = p(state) * p(value bin | a value)        states: a value, each point mass, missing

Codes are those of the codec: value bins, point masses, missing. Point masses and missing have logits of their own, so
missingness is learned, for each component, or once for the column (`missing_apart`: the mixture adds it then, see
`mixture.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

LEAST_COUNT = 1e-4
STEP = 0.3  # unit of the unconstrained location, of half the axis: makes its scores as large as those of logits
FAR = 4.0  # t beyond which a tilt grows no further, in standard deviations of the base distribution


class ValueDistribution(ABC):
    """A family of distributions over `values` bins with `size` parameters.

    start, spread: (size,) prior means and standard deviations of the parameters; weak, data-free, and where inference
    begins.
    """

    values: int
    start: Tensor
    spread: Tensor

    @property
    def size(self) -> int:
        return len(self.start)

    @abstractmethod
    def log_probabilities(self, parameters: Tensor) -> Tensor:
        """(..., size) -> (..., values), which sum to one."""

    @abstractmethod
    def scores(self, parameters: Tensor, log_p: Tensor) -> Tensor:
        """(..., values, size) d log p / d parameters; log_p is what `log_probabilities` gave."""

    def score_norms(self, parameters: Tensor, log_p: Tensor) -> Tensor:
        """(..., values) squared norms of the scores."""
        return self.scores(parameters, log_p).square().sum(-1)

    def pull(self, parameters: Tensor, log_p: Tensor, weights: Tensor) -> Tensor:
        """(..., size): the scores summed over bins with weights (..., values), which is a gradient of sum w log p."""
        return torch.einsum("...vp,...v->...p", self.scores(parameters, log_p), weights)

    def information(self, parameters: Tensor, log_p: Tensor) -> Tensor:
        """(..., size) diagonal of the Fisher information of one value: expected squared scores."""
        return torch.einsum("...vp,...v->...p", self.scores(parameters, log_p).square(), log_p.exp())


@dataclass(frozen=True, eq=False)
class Free(ValueDistribution):
    """p = softmax(base + parameters). base: (values,) logarithm of the distribution that zero parameters give."""

    base: Tensor
    width: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", len(self.base))
        object.__setattr__(self, "start", torch.zeros_like(self.base))
        object.__setattr__(self, "spread", torch.full_like(self.base, self.width))

    def log_probabilities(self, parameters: Tensor) -> Tensor:
        return torch.log_softmax(self.base + parameters, -1)

    def scores(self, parameters: Tensor, log_p: Tensor) -> Tensor:
        return torch.eye(self.values, dtype=log_p.dtype) - log_p.exp().unsqueeze(-2)

    def score_norms(self, parameters: Tensor, log_p: Tensor) -> Tensor:
        p = log_p.exp()
        return (1 - 2 * p + p.square().sum(-1, keepdim=True)).clamp(min=0)

    def pull(self, parameters: Tensor, log_p: Tensor, weights: Tensor) -> Tensor:
        return weights - weights.sum(-1, keepdim=True) * log_p.exp()

    def information(self, parameters: Tensor, log_p: Tensor) -> Tensor:
        p = log_p.exp()
        return p * (1 - p)


@dataclass(frozen=True, eq=False)
class Tilted(ValueDistribution):
    """p proportional to base * exp(parameters . features), features (values, size) standardised under the base
    distribution."""

    base: Tensor
    features: Tensor
    width: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", len(self.base))
        object.__setattr__(self, "start", torch.zeros(self.features.shape[1], dtype=self.base.dtype))
        object.__setattr__(self, "spread", torch.full_like(self.start, self.width))

    @classmethod
    def of(cls, base: Tensor, middles: Tensor, width: float) -> Tilted:
        """base: (values,) log probabilities. middles: (values,) of the bins."""
        p = base.exp()
        mean = (p * middles).sum()
        deviation = (p * (middles - mean).square()).sum().sqrt().clamp(min=1e-3)
        t = ((middles - mean) / deviation).clamp(-FAR, FAR)
        return cls(base, torch.stack([t, (t.square() - 1) / 2**0.5], 1), width)

    def log_probabilities(self, parameters: Tensor) -> Tensor:
        return torch.log_softmax(self.base + parameters @ self.features.T, -1)

    def scores(self, parameters: Tensor, log_p: Tensor) -> Tensor:
        return self.features - (log_p.exp() @ self.features).unsqueeze(-2)


@dataclass(frozen=True, eq=False)
class _Located(ValueDistribution):
    """What distributions with a mean and a standard deviation share: mean = STEP * first, deviation = least +
    softplus(second).

    edges: (values + 1,) positions of the bins' ends, from -1 to 1.
    """

    edges: Tensor
    values: int = field(init=False)
    start: Tensor = field(init=False)
    spread: Tensor = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", len(self.edges) - 1)
        object.__setattr__(self, "start", torch.tensor([0.0, -0.5], dtype=self.edges.dtype))
        object.__setattr__(self, "spread", torch.tensor([2.0, 1.0], dtype=self.edges.dtype))

    @property
    def _least(self) -> float:
        """The smallest deviation: half a bin, below which a location cannot be felt."""
        return float(self.edges.diff().mean()) / 2

    def _mean_and_deviation(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, deviation, and the derivative of the deviation, each (..., 1)."""
        mean, raw = STEP * parameters[..., :1], parameters[..., 1:]
        return mean, self._least + torch.nn.functional.softplus(raw), torch.sigmoid(raw)


class TruncatedNormal(_Located):
    def _middles(self) -> Tensor:
        return (self.edges[1:] + self.edges[:-1]) / 2

    def _inner(self, parameters: Tensor) -> Tensor:
        mean, deviation, _ = self._mean_and_deviation(parameters)
        z = (self._middles() - mean) / deviation
        return torch.softmax(self.edges.diff().log() - z.square() / 2, -1)

    def log_probabilities(self, parameters: Tensor) -> Tensor:
        return _floored(self._inner(parameters))

    def scores(self, parameters: Tensor, log_p: Tensor) -> Tensor:
        mean, deviation, slope = self._mean_and_deviation(parameters)
        z = (self._middles() - mean) / deviation
        inner = self._inner(parameters)
        raw = torch.stack([STEP * z / deviation, slope * z.square() / deviation], -1)
        centred = raw - torch.einsum("...vp,...v->...p", raw, inner).unsqueeze(-2)
        return centred * ((1 - LEAST_COUNT) * inner / log_p.exp()).unsqueeze(-1)


class Normal(_Located):
    def _ends(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, deviation, slope = self._mean_and_deviation(parameters)
        z = (self.edges - mean) / deviation
        z = torch.cat(
            [torch.full_like(z[..., :1], -torch.inf), z[..., 1:-1], torch.full_like(z[..., :1], torch.inf)], -1
        )
        return z, deviation, slope

    def log_probabilities(self, parameters: Tensor) -> Tensor:
        z, _, _ = self._ends(parameters)
        low, high = z[..., :-1], z[..., 1:]
        mirrored = low > 0  # differences of small tails, not of numbers near one
        inner = torch.special.ndtr(torch.where(mirrored, -low, high)) - torch.special.ndtr(
            torch.where(mirrored, -high, low)
        )
        return _floored(inner)

    def scores(self, parameters: Tensor, log_p: Tensor) -> Tensor:
        z, deviation, slope = self._ends(parameters)
        density = torch.exp(-z.square() / 2) / (2 * torch.pi) ** 0.5
        moment = torch.where(z.isfinite(), z * density, torch.zeros_like(z))
        by_mean = -density.diff(dim=-1) / deviation * STEP
        by_raw = -moment.diff(dim=-1) / deviation * slope
        return torch.stack([by_mean, by_raw], -1) * ((1 - LEAST_COUNT) / log_p.exp()).unsqueeze(-1)


@dataclass(frozen=True, eq=False)
class Poisson(ValueDistribution):
    """Counts 0, 1, 2, ... with rate softplus(parameter) * unit. last: (values,) the largest count of each bin."""

    last: Tensor
    unit: float
    values: int = field(init=False)
    start: Tensor = field(init=False)
    spread: Tensor = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", len(self.last))
        object.__setattr__(self, "start", torch.zeros(1, dtype=self.last.dtype))
        object.__setattr__(self, "spread", torch.full((1,), 2.0, dtype=self.last.dtype))

    def _rate(self, parameters: Tensor) -> Tensor:
        return (torch.nn.functional.softplus(parameters) * self.unit).clamp(min=1e-6)

    def log_probabilities(self, parameters: Tensor) -> Tensor:
        rate = self._rate(parameters)
        upto = torch.special.gammaincc(self.last + 1, rate)  # P(count <= last)
        upto = torch.cat([torch.zeros_like(upto[..., :1]), upto[..., :-1], torch.ones_like(upto[..., :1])], -1)
        return _floored(upto.diff(dim=-1).clamp(min=0))

    def scores(self, parameters: Tensor, log_p: Tensor) -> Tensor:
        rate = self._rate(parameters)
        # d P(count <= a) / d rate = -P(count = a)
        at = torch.exp(self.last * rate.log() - rate - torch.lgamma(self.last + 1))
        ends = torch.cat([torch.zeros_like(at[..., :1]), -at[..., :-1], torch.zeros_like(at[..., :1])], -1)
        by_raw = ends.diff(dim=-1) * torch.sigmoid(parameters) * self.unit
        return (by_raw * (1 - LEAST_COUNT) / log_p.exp()).unsqueeze(-1)


def _floored(p: Tensor) -> Tensor:
    """Logarithms of probabilities with a part of the mass spread evenly."""
    p = p / p.sum(-1, keepdim=True)
    return ((1 - LEAST_COUNT) * p + LEAST_COUNT / p.shape[-1]).log()


def smoothed(counts: np.ndarray | Sequence[float], least: float) -> Tensor:
    """Log probabilities of counts that are at least `least` each; float64."""
    y = np.maximum(np.asarray(counts, dtype=np.float64), least)
    return torch.from_numpy(np.log(y / y.sum()))


# -------------------- Code distributions -------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class CodeDistribution:
    """values: the distribution of the value bins. states: the distribution of (a value, point mass, ..., missing), or
    None when all is values.

    missing_apart: the last code is missing, and no state: given that the row is missing here, its chance is one.
    """

    values: ValueDistribution
    states: Free | None
    missing_apart: bool = False

    @property
    def codes(self) -> int:
        return self.values.values + (0 if self.states is None else self.states.values - 1) + int(self.missing_apart)

    @property
    def size(self) -> int:
        return self.values.size + (0 if self.states is None else self.states.size)

    @cached_property
    def start(self) -> Tensor:
        """(size,) prior means."""
        return self.values.start if self.states is None else torch.cat([self.values.start, self.states.start])

    @cached_property
    def spread(self) -> Tensor:
        """(size,) prior standard deviations."""
        return self.values.spread if self.states is None else torch.cat([self.values.spread, self.states.spread])

    def _parts(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return parameters[..., : self.values.size], parameters[..., self.values.size :]

    def _tables(self, parameters: Tensor) -> tuple[Tensor, Tensor | None]:
        of_values, of_states = self._parts(parameters)
        return self.values.log_probabilities(of_values), self.states and self.states.log_probabilities(of_states)

    def _joined(self, values: Tensor, states: Tensor | None) -> Tensor:
        """Tables over values and states as one over codes, the value state added to every value."""
        pieces = [values] if states is None else [values + states[..., :1], states[..., 1:]]
        if self.missing_apart:
            pieces.append(torch.zeros_like(values[..., :1]))
        return torch.cat(pieces, -1)

    def log_probabilities(self, parameters: Tensor) -> Tensor:
        """(..., size) -> (..., codes)."""
        return self._joined(*self._tables(parameters))

    def score_norms(self, parameters: Tensor) -> Tensor:
        """(..., codes) squared norms of d log p(code) / d parameters."""
        (of_values, of_states), (log_v, log_s) = self._parts(parameters), self._tables(parameters)
        norms = self.values.score_norms(of_values, log_v)
        if self.states is None or log_s is None:
            return self._joined(norms, None)
        return self._joined(norms, self.states.score_norms(of_states, log_s))

    def pull(self, parameters: Tensor, weights: Tensor) -> Tensor:
        """(..., size): scores summed over codes with weights (..., codes)."""
        (of_values, of_states), (log_v, log_s) = self._parts(parameters), self._tables(parameters)
        bins = weights[..., : self.values.values]
        pulls = [self.values.pull(of_values, log_v, bins)]
        if self.states is not None and log_s is not None:
            rest = weights[..., self.values.values : self.values.values + self.states.values - 1]
            states = torch.cat([bins.sum(-1, keepdim=True), rest], -1)
            pulls.append(self.states.pull(of_states, log_s, states))
        return torch.cat(pulls, -1)

    def information(self, parameters: Tensor) -> Tensor:
        """(..., size): diagonal Fisher information of one row of the component."""
        (of_values, of_states), (log_v, log_s) = self._parts(parameters), self._tables(parameters)
        known = self.values.information(of_values, log_v)
        if self.states is None or log_s is None:
            return known
        return torch.cat([known * log_s[..., :1].exp(), self.states.information(of_states, log_s)], -1)
