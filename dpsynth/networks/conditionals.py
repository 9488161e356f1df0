"""The conditional distribution of one column, given the outputs of the masked network for it.

A column has codes (see `dpsynth.data.table.codec`): value bins, then point masses, then missing. Every conditional
gives each code a probability, and a numeric column also a density within its bin on the unit interval:

    Softmax  a probability per code, even within a bin: for categories a plain softmax, for numeric columns the
             piecewise-linear flow of Mueller et al. 2019, arXiv:1808.03856
    Spline   value / point masses / missing by softmax, the value by a monotone rational-quadratic spline of the unit
             interval (Durkan et al. 2019, arXiv:1906.04032; nflows)
    Affine   value / point masses / missing by softmax, the value's logit by a shift and a scale of a normal
    (Papamakarios
             et al. 2017, arXiv:1705.07057), the scale bounded so that no sample overflows

All work on tensors: outputs (rows, width), codes (rows,) int64, units (rows,) float32 in [0, 1].
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from nflows.transforms.splines.rational_quadratic import rational_quadratic_spline
from torch import Tensor
from torch.nn import functional as F

EDGE = 1e-6  # how near to the ends of the unit interval a density is asked for
SPREAD = 3.0  # bound on |log scale| of the affine transform


@dataclass(frozen=True)
class Layout:
    """Public layout of a column's codes.

    size: number of codes. edges: (value_bins + 1,) bin edges on the unit interval. Codes from value_bins on are
    point masses and missing. on_axis: whether the value bins lie on an axis (numeric columns) or not (categories).
    """

    size: int
    edges: Tensor
    on_axis: bool

    @property
    def value_bins(self) -> int:
        return len(self.edges) - 1

    @property
    def specials(self) -> int:
        return self.size - self.value_bins


class Conditional(ABC):
    """One column's conditional; holds public facts only."""

    width: int

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    @abstractmethod
    def negative_log_likelihood(self, outputs: Tensor, codes: Tensor, units: Tensor) -> Tensor:
        """(rows,) minus log probability of the code, or minus log density of the value on the unit interval."""

    @abstractmethod
    def probabilities(self, outputs: Tensor) -> Tensor:
        """(rows, size) probability of every code; differentiable."""

    @abstractmethod
    def units(self, outputs: Tensor, codes: Tensor, generator: torch.Generator) -> Tensor:
        """(rows,) positions drawn within the value bins `codes`; of no meaning for point masses and missing."""

    @abstractmethod
    def cumulative(self, outputs: Tensor, units: Tensor) -> Tensor:
        """(rows,) probability of a smaller position, among values; in [0, 1]."""

    def base(self, outputs: Tensor, codes: Tensor, units: Tensor, generator: torch.Generator) -> Tensor:
        """(rows,) the row's standard normal coordinate: the randomised probability integral transform.

        Were the model true, these would be independent N(0, 1) over all columns. Values come first on the axis, by
        their cumulative probability, then point masses and missing, each an interval from which a point is drawn.
        """
        layout = self.layout
        probabilities = self.probabilities(outputs)
        below = probabilities.cumsum(1) - probabilities
        within = torch.rand(codes.shape, generator=generator).to(outputs)
        own = (below.gather(1, codes[:, None]) + within[:, None] * probabilities.gather(1, codes[:, None])).squeeze(1)
        if layout.on_axis:
            mass = probabilities[:, : layout.value_bins].sum(1)
            own = torch.where(codes < layout.value_bins, mass * self.cumulative(outputs, units), own)
        return torch.special.ndtri(own.clamp(EDGE, 1 - EDGE).double())


class Softmax(Conditional):
    """One logit per code; a position is spread evenly within its bin."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self.width = layout.size
        widths = layout.edges.diff() if layout.on_axis else torch.ones(layout.value_bins)
        self._log_widths = torch.cat([widths, torch.ones(layout.specials)]).log().float()

    def negative_log_likelihood(self, outputs: Tensor, codes: Tensor, units: Tensor) -> Tensor:
        return F.cross_entropy(outputs, codes, reduction="none") + self._log_widths.to(outputs)[codes]

    def probabilities(self, outputs: Tensor) -> Tensor:
        return outputs.softmax(1)

    def units(self, outputs: Tensor, codes: Tensor, generator: torch.Generator) -> Tensor:
        edges = self.layout.edges.to(outputs)
        bins = codes.clamp(max=self.layout.value_bins - 1)
        within = torch.rand(codes.shape, generator=generator).to(outputs)
        return torch.lerp(edges[bins], edges[bins + 1], within)

    def cumulative(self, outputs: Tensor, units: Tensor) -> Tensor:
        edges = self.layout.edges.to(outputs)
        fraction = outputs[:, : self.layout.value_bins].softmax(1)
        bins = (torch.searchsorted(edges, units.contiguous(), right=True) - 1).clamp(0, self.layout.value_bins - 1)
        within = (units - edges[bins]) / (edges[bins + 1] - edges[bins])
        picked = fraction.gather(1, bins[:, None])
        return ((fraction.cumsum(1).gather(1, bins[:, None]) - picked) + picked * within[:, None]).squeeze(1)


class _Transformed(Conditional):
    """Value, point masses or missing by softmax; the value by a monotone transform of the unit interval."""

    def __init__(self, layout: Layout, parameters: int) -> None:
        super().__init__(layout)
        self.width = 1 + layout.specials + parameters

    @abstractmethod
    def _log_density(self, parameters: Tensor, units: Tensor) -> Tensor: ...

    @abstractmethod
    def _below(self, parameters: Tensor, units: Tensor) -> Tensor: ...

    @abstractmethod
    def _quantile(self, parameters: Tensor, below: Tensor) -> Tensor: ...

    def _split(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        return outputs[:, : 1 + self.layout.specials], outputs[:, 1 + self.layout.specials :]

    def negative_log_likelihood(self, outputs: Tensor, codes: Tensor, units: Tensor) -> Tensor:
        kinds, parameters = self._split(outputs)
        is_value = codes < self.layout.value_bins
        kind = (codes - self.layout.value_bins + 1).clamp(min=0)
        density = self._log_density(parameters, units.clamp(EDGE, 1 - EDGE))
        return F.cross_entropy(kinds, kind, reduction="none") - torch.where(is_value, density, 0.0)

    def probabilities(self, outputs: Tensor) -> Tensor:
        kinds, parameters = self._split(outputs)
        fraction = kinds.softmax(1)
        edges = self.layout.edges[1:-1].to(outputs)
        rows, inner = len(outputs), len(edges)
        repeated = parameters[:, None].expand(rows, inner, parameters.shape[1]).reshape(rows * inner, -1)
        below = self._below(repeated, edges.expand(rows, inner).reshape(-1)).reshape(rows, inner)
        below = torch.cat([below.new_zeros(rows, 1), below, below.new_ones(rows, 1)], 1)
        return torch.cat([below.diff(dim=1).clamp(min=0) * fraction[:, :1], fraction[:, 1:]], 1)

    def units(self, outputs: Tensor, codes: Tensor, generator: torch.Generator) -> Tensor:
        parameters = self._split(outputs)[1]
        edges = self.layout.edges.to(outputs)
        bins = codes.clamp(max=self.layout.value_bins - 1)
        low, high = self._below(parameters, edges[bins]), self._below(parameters, edges[bins + 1])
        within = torch.rand(codes.shape, generator=generator).to(outputs)
        drawn = self._quantile(parameters, torch.lerp(low, high, within))
        return drawn.clamp(edges[bins], edges[bins + 1])

    def cumulative(self, outputs: Tensor, units: Tensor) -> Tensor:
        return self._below(self._split(outputs)[1], units)


class Spline(_Transformed):
    """A rational-quadratic spline of `knots` bins on the unit interval; zero outputs give the even density."""

    def __init__(self, layout: Layout, knots: int) -> None:
        super().__init__(layout, 3 * knots + 1)
        self.knots = knots

    def _spline(self, parameters: Tensor, inputs: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        widths, heights, slopes = parameters.split([self.knots, self.knots, self.knots + 1], 1)
        even = math.log(math.expm1(1 - 1e-3))  # softplus(even) + the least slope = 1
        return rational_quadratic_spline(
            inputs.clamp(0, 1), widths, heights, slopes + even, inverse=inverse, min_derivative=1e-3
        )

    def _log_density(self, parameters: Tensor, units: Tensor) -> Tensor:
        return self._spline(parameters, units, inverse=False)[1]

    def _below(self, parameters: Tensor, units: Tensor) -> Tensor:
        return self._spline(parameters, units, inverse=False)[0].clamp(0, 1)

    def _quantile(self, parameters: Tensor, below: Tensor) -> Tensor:
        return self._spline(parameters, below, inverse=True)[0].clamp(0, 1)


class Affine(_Transformed):
    """The value's logit is normal with a shift and a bounded scale."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout, 2)

    def _normal(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return parameters[:, 0], SPREAD * torch.tanh(parameters[:, 1] / SPREAD)

    def _log_density(self, parameters: Tensor, units: Tensor) -> Tensor:
        shift, log_scale = self._normal(parameters)
        z = (units.logit() - shift) * torch.exp(-log_scale)
        jacobian = units.log() + (-units).log1p()
        return -0.5 * z.square() - 0.5 * math.log(2 * math.pi) - log_scale - jacobian

    def _below(self, parameters: Tensor, units: Tensor) -> Tensor:
        shift, log_scale = self._normal(parameters)
        inside = units.clamp(EDGE, 1 - EDGE)
        below = torch.special.ndtr((inside.logit() - shift) * torch.exp(-log_scale))
        return torch.where(units <= 0, 0.0, torch.where(units >= 1, 1.0, below))

    def _quantile(self, parameters: Tensor, below: Tensor) -> Tensor:
        shift, log_scale = self._normal(parameters)
        z = torch.special.ndtri(below.clamp(EDGE, 1 - EDGE))
        return torch.sigmoid(shift + torch.exp(log_scale) * z)
