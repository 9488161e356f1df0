"""The law of one column's codes inside a component: which kind of value, and then which.

    p(code) = p(state) * p(value bin | a value)        states: a value, each spike, missing

Codes are those of the codec: value bins, spikes, missing. Spikes and missing have logits of their own, so missingness
is learned, for each component, or once for the column (`missing_apart`: the mixture adds it then, see `mixture.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from dpsynth.vi.value_laws import Free, ValueLaw


@dataclass(frozen=True, eq=False)
class CodeLaw:
    """values: the law of the value bins. states: the law of (a value, spike, ..., missing), or None when all is values.

    missing_apart: the last code is missing, and no state: given that the row is missing here, its chance is one.
    """

    values: ValueLaw
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
