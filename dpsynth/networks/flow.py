"""An autoregressive flow over all columns of a table: one masked network, one conditional per column.

What later columns see of an earlier one: its code as a few smooth numbers.

A category is one-hot. A numeric column with many value bins is a row of overlapping Gaussian bumps along its axis, so
that neighbouring values share what is learned about either; with noise on every weight that is worth more than telling
each value apart. Point masses and missing values keep an indicator of their own.

A flow may have a *prior*: known conditional distributions of every column, of which the network then learns the ratio.
Its outputs are added to the prior's logits, and begin at zero, so that an untrained flow is the prior.

p(row) = product over k of p(column k | columns before it in the order). Categories, point masses and missing values are
the discrete part of a column, the position of a value on its axis the continuous part; both come from the same outputs.
So log density, exact sampling and the way back to a normal base hold for every kind of column
(Papamakarios et al. 2017, arXiv:1705.07057, with mixed columns).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from dpsynth.networks.conditionals import Conditional, Layout
from dpsynth.networks.masked import MADE


def code_features(layout: Layout, bumps: int) -> Tensor:
    """(size, width) float32 features of every code, in [0, 1].

    The centres of the bumps lie evenly over the ranks of the bins, a standard deviation apart: on an axis with a heavy
    tail nearly all bins lie at one end. Numeric columns of at most
    `bumps` value bins, and all categories, are one-hot.
    """
    if not layout.on_axis or layout.value_bins <= bumps:
        return torch.eye(layout.size)
    middles = (torch.arange(layout.value_bins) + 0.5) / layout.value_bins
    centres = (torch.arange(bumps) + 0.5) / bumps
    features = torch.zeros(layout.size, bumps + layout.specials)
    features[: layout.value_bins, :bumps] = torch.exp(-0.5 * ((middles[:, None] - centres) * bumps).square())
    features[layout.value_bins :, bumps:] = torch.eye(layout.specials)
    return features


# -------------------- Flow ------------------------------------------------------------------

ROWS_AT_ONCE = 16_384
SCALINGS = 50  # of the biases of a column


class Prior(Protocol):
    """Known conditional distributions of every column given earlier ones."""

    def logits(self, column: int, codes: Tensor) -> Tensor:
        """(rows, size) log probabilities of the column's codes given each row's earlier columns, codes (rows, D)."""
        ...

    def context(self, column: int, codes: Tensor) -> Tensor:
        """(rows,) int64 number of what the logits depend on: rows of one context have the same."""
        ...


class TabularFlow(nn.Module):
    """codes (rows, D) integer, units (rows, D) float32 in [0, 1] -> (rows,) negative log likelihood.

    conditionals: one per column, in table order. order: the column drawn first, second, ...
    bumps: features of a numeric column, see `code_features`. prior: for columns with one logit a code alone.
    """

    def __init__(
        self,
        conditionals: Sequence[Conditional],
        order: Sequence[int],
        hidden: int,
        layers: int,
        bumps: int = 16,
        generator: torch.Generator | None = None,
        prior: Prior | None = None,
    ) -> None:
        super().__init__()
        self.conditionals, self.prior = tuple(conditionals), prior
        self.order = tuple(order)
        self.sizes = tuple(conditional.layout.size for conditional in self.conditionals)
        self._features = [code_features(self.conditionals[j].layout, bumps) for j in self.order]
        self._inputs = [features.shape[1] for features in self._features]
        self._outputs = [self.conditionals[j].width for j in self.order]
        self.network = MADE(self._inputs, self._outputs, hidden, layers, generator)
        if prior is not None:
            for parameter in self.network.last.parameters():
                nn.init.zeros_(parameter)

    @property
    def device(self) -> torch.device:
        return self.network.first.weight.device

    def features(self, codes: Tensor) -> Tensor:
        """(rows, D) codes -> (rows, features) float32 in network order; look-ups only, so vmap can follow."""
        looked_up = [table[codes[..., j].long()] for j, table in zip(self.order, self._tables(), strict=True)]
        return torch.cat(looked_up, -1)

    def outputs(self, codes: Tensor) -> list[Tensor]:
        """The outputs of every column's conditional, in table order."""
        pieces = self.network(self.features(codes)).split(self._outputs, -1)
        placed = {j: self._over_prior(j, out, codes) for j, out in zip(self.order, pieces, strict=True)}
        return [placed[j] for j in range(len(self.sizes))]

    def forward(self, codes: Tensor, units: Tensor) -> Tensor:
        return torch.stack(self._terms(codes, units)).sum(0)

    def log_density(self, codes: Tensor, units: Tensor) -> Tensor:
        """(rows,) log probability of the discrete part plus log density of the continuous part, in nats."""
        return -self(codes, units)

    def probabilities(self, codes: Tensor) -> list[Tensor]:
        """Of each column's codes given the row's earlier columns: (rows, size) each, in table order."""
        return [c.probabilities(out) for c, out in zip(self.conditionals, self.outputs(codes), strict=True)]

    @torch.no_grad()
    def sample(
        self,
        rows: int,
        generator: torch.Generator,
        where: Mapping[int, tuple[int, float]] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """(codes, units), each (rows', D): exact draws given the conditions, by dropping the rows that miss one.

        where: by column, the code to keep and the position to set. Conditions on the first columns of the order
        cost nothing, since nothing is drawn before them; without conditions rows' = rows.
        """
        parts = [
            self._sample(min(ROWS_AT_ONCE, rows - start), generator, where or {})
            for start in range(0, rows, ROWS_AT_ONCE)
        ] or [self._sample(0, generator, {})]
        return torch.cat([codes for codes, _ in parts]), torch.cat([units for _, units in parts])

    @torch.no_grad()
    def match(self, marginals: Mapping[int, Tensor], rows: int, generator: torch.Generator) -> None:
        """Set the output biases so that every column by itself has the probabilities asked for.

        Column after column, over rows drawn from the columns before it, by iterative scaling: a softmax with a bias for
        every code can meet any probabilities that are above zero, and meets them at one bias only.

        Args:
            marginals: By column with one logit a code, (size,) probabilities above zero.
            rows: Drawn.
            generator: Of the draws.
        """
        bias = self.network.last.bias
        assert bias is not None
        codes = torch.zeros(rows, len(self.sizes), dtype=torch.int64, device=self.device)
        features = torch.zeros(rows, sum(self._inputs), device=self.device)
        inputs, outputs = _starts(self._inputs), _starts(self._outputs)
        for k, j in enumerate(self.order):
            span = slice(outputs[k], outputs[k] + self._outputs[k])
            given = self._over_prior(j, self.network.column(features, span), codes)
            if j in marginals:
                wanted, shift = marginals[j].to(given).log(), torch.zeros_like(given[0])
                for _ in range(SCALINGS):
                    shift += wanted - (given + shift).softmax(1).mean(0).log()
                given, bias[span] = given + shift, bias[span] + shift
            drawn = _draw(self.conditionals[j].probabilities(given), generator)
            codes[:, j] = drawn
            features[:, inputs[k] : inputs[k] + self._inputs[k]] = self._tables()[k][drawn]

    @torch.no_grad()
    def base(self, codes: Tensor, units: Tensor, generator: torch.Generator) -> Tensor:
        """(rows, D) the row's coordinates in the base space, N(0, I) if the model were true."""
        return torch.stack(
            [
                conditional.base(out, codes[:, j].long(), units[:, j], generator)
                for j, (conditional, out) in enumerate(zip(self.conditionals, self.outputs(codes), strict=True))
            ],
            1,
        )

    def _terms(self, codes: Tensor, units: Tensor) -> list[Tensor]:
        return [
            conditional.negative_log_likelihood(out, codes[..., j].long(), units[..., j])
            for j, (conditional, out) in enumerate(zip(self.conditionals, self.outputs(codes), strict=True))
        ]

    def _sample(
        self, rows: int, generator: torch.Generator, where: Mapping[int, tuple[int, float]]
    ) -> tuple[Tensor, Tensor]:
        codes = torch.zeros(rows, len(self.sizes), dtype=torch.int64, device=self.device)
        units = torch.zeros(rows, len(self.sizes), device=self.device)
        features = torch.zeros(rows, sum(self._inputs), device=self.device)
        inputs, outputs = _starts(self._inputs), _starts(self._outputs)
        tables = self._tables()
        first_free = next((k for k, j in enumerate(self.order) if j not in where), len(self.order))
        for k, j in enumerate(self.order):
            if not len(codes):
                break  # no row met the conditions so far; a spline of no rows is an error
            conditional, span = self.conditionals[j], slice(outputs[k], outputs[k] + self._outputs[k])
            given = self._over_prior(j, self.network.column(features, span), codes)
            context = None if self.prior is None else self.prior.context(j, codes)
            drawn = _draw(conditional.probabilities(given), generator, context)
            position = conditional.units(given, drawn, generator)
            if j in where:
                code, unit = where[j]
                if k < first_free:
                    drawn = torch.full_like(drawn, code)
                kept = (drawn == code).nonzero().squeeze(1)
                codes, units, features, drawn = codes[kept], units[kept], features[kept], drawn[kept]
                position = torch.full_like(position[kept], unit)
            codes[:, j], units[:, j] = drawn, position
            features[:, inputs[k] : inputs[k] + self._inputs[k]] = tables[k][drawn]
        return codes, units

    def _over_prior(self, column: int, outputs: Tensor, codes: Tensor) -> Tensor:
        return outputs if self.prior is None else outputs + self.prior.logits(column, codes.long())

    def _tables(self) -> list[Tensor]:
        """The feature tables, on the network's device; constants, and so neither parameters nor buffers."""
        if self._features[0].device != self.device:
            self._features = [table.to(self.device) for table in self._features]
        return self._features


def _starts(widths: Sequence[int]) -> list[int]:
    starts = [0]
    for width in widths[:-1]:
        starts.append(starts[-1] + width)
    return starts


def _draw(probabilities: Tensor, generator: torch.Generator, context: Tensor | None = None) -> Tensor:
    """One code a row by its cumulative distribution, from uniforms made on the CPU: the same on every device.

    context: (rows,) int64. The m rows of one context share out the m strata of the unit interval at random: the uniform
    of each row is uniform as before, but how often a code is drawn in a context scatters less.
    """
    uniforms = torch.rand(len(probabilities), 1, generator=generator, dtype=torch.float64)
    if context is not None and len(context):
        shuffled = torch.randperm(len(context), generator=generator)
        order = shuffled[context.cpu()[shuffled].argsort(stable=True)]
        _, counts = torch.unique_consecutive(context.cpu()[order], return_counts=True)
        rank = torch.arange(len(order)) - (counts.cumsum(0) - counts).repeat_interleave(counts)
        uniforms[order, 0] = (rank + uniforms[order, 0]) / counts.repeat_interleave(counts)
    cumulative = probabilities.double().cumsum(1)
    points = uniforms.to(cumulative.device) * cumulative[:, -1:]
    drawn = (cumulative <= points).sum(1)
    return drawn.clamp(max=probabilities.shape[1] - 1)
